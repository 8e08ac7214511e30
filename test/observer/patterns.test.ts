// Each pattern of an application that was measured when the observer was designed, on both kinds of mount: whatever the application
// does with its WAL, the copy kept from what the follower tells is the database, page for page.

import { describe, expect, test } from 'vitest'
import type { ApplicationOptions, LoadOptions } from '../support/observer/application-child.js'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import { differingPages, makeScene } from '../support/observer/scene.js'

interface Pattern {
  readonly name: string
  readonly application?: Partial<ApplicationOptions>
  readonly load: LoadOptions
  readonly minCheckpointPageCount?: number
  /** Restarts of the WAL that must have happened at least: the load goes on until then, for a test without them tests nothing. */
  readonly restartsMin: number
  /** At a pace that an observer can keep up with even on an overloaded machine: restarts are crossed, not lost, but for one. */
  readonly keepsUp?: true
}

const patterns: Pattern[] = [
  {
    name: 'TRUNCATE every 500 ms at 100 transactions a second',
    load: { forMs: 3000, paceMs: 9, pattern: 'rows', checkpoint: 'TRUNCATE', checkpointEveryMs: 500 },
    restartsMin: 2,
    keepsUp: true,
  },
  {
    name: 'a TRUNCATE at once after every transaction, five times a second',
    load: { forMs: 2500, paceMs: 190, pattern: 'rows', checkpoint: 'TRUNCATE', checkpointEveryMs: 0 },
    restartsMin: 5,
  },
  {
    name: 'automatic checkpoints at 1000 pages, full speed',
    application: { autoCheckpoint: 1000 },
    load: { forMs: 2500, paceMs: 0, pattern: 'rows' },
    restartsMin: 1,
  },
  {
    name: 'automatic checkpoints at 1000 pages, 200 transactions a second',
    application: { autoCheckpoint: 1000, pageSize: 512 },
    load: { forMs: 2500, paceMs: 4, pattern: 'updates' },
    minCheckpointPageCount: 200,
    restartsMin: 1,
    keepsUp: true,
  },
  {
    name: 'automatic checkpoints at 10 pages, full speed',
    application: { autoCheckpoint: 10 },
    load: { forMs: 2500, paceMs: 0, pattern: 'rows' },
    restartsMin: 1,
  },
  {
    name: '10 random updates of 400 bytes a transaction, full speed',
    load: { forMs: 2500, paceMs: 0, pattern: 'updates' },
    restartsMin: 1,
  },
  {
    name: 'TRUNCATE every 500 ms, full speed',
    load: { forMs: 3000, paceMs: 0, pattern: 'rows', checkpoint: 'TRUNCATE', checkpointEveryMs: 500 },
    restartsMin: 1,
  },
  {
    name: 'RESTART every 200 ms, full speed',
    load: { forMs: 2500, paceMs: 0, pattern: 'rows', checkpoint: 'RESTART', checkpointEveryMs: 200 },
    restartsMin: 1,
  },
  {
    name: 'VACUUMs and automatic checkpoints at 50 pages, 200 transactions a second',
    application: { autoCheckpoint: 50, pageSize: 65536 },
    load: { forMs: 2500, paceMs: 4, pattern: 'vacuum' },
    restartsMin: 1,
  },
]

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test.for(patterns.map((pattern) => [pattern.name, pattern] as const))('%s', async ([, pattern], context) => {
    needNamespaces(context, mount)
    const { application, load, restartsMin, keepsUp, minCheckpointPageCount } = pattern
    const scene = makeScene()
    const writer = await scene.application(application)
    const observer = await scene.observer(mount, minCheckpointPageCount ? { minCheckpointPageCount } : {})
    await observer.untilComplete()
    let done = await writer.load(load)
    const restarts = async () => {
      const { crossings, losses } = await observer.report()
      return crossings + losses.length
    }
    for (let more = 0; more < 5 && (await restarts()) < restartsMin; more++) done = await writer.load(load)
    const { report, contents } = await observer.stop()
    const { transactions, checkpoints, busyCheckpoints, longestCheckpointMs, longestCommitMs } = done
    console.info(
      `${mount}, ${pattern.name}: ${transactions} transactions, longest commit ${longestCommitMs.toFixed(0)} ms, ${checkpoints} checkpoints, ` +
        `${busyCheckpoints} busy, longest ${longestCheckpointMs.toFixed(0)} ms; ${report.crossings} crossings, ` +
        `lost ${report.losses.length}, copies ${report.copies}, failed ${report.copyFailures.length}, WAL at most ${(report.walBytesMax / 1e6).toFixed(0)} MB ${JSON.stringify([...new Set([...report.losses, ...report.copyFailures])])}`,
    )
    expect(report.unexpected).toEqual([])
    expect(differingPages(await writer.contents(), contents)).toEqual([])
    // A busy checkpoint is one that waited for its whole busy timeout, with all writers blocked.
    expect(busyCheckpoints).toBe(0)
    const { crossings, losses } = report
    expect(crossings + losses.length).toBeGreaterThanOrEqual(restartsMin)
    // How many at full speed is a matter of the machine, and is measured in bench/.
    if (keepsUp) expect(losses.length).toBeLessThanOrEqual(Math.max(1, crossings / 4))
  })
})
