// Copies that take long while the application writes, checkpoints and vacuums: whatever the file held at which moment, copy and
// changes together are the database at one commit.

import { describe, expect, test } from 'vitest'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import { differingPages, isCommit, makeScene } from '../support/observer/scene.js'

/** Rows of nearly a page each. */
const manyRows = (count: number) =>
  `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count}) insert into u(b) select randomblob(3000) from n`

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test.for([
    {
      name: 'VACUUMs and automatic checkpoints at 50 pages',
      autoCheckpoint: 50,
      pattern: 'vacuum' as const,
      paceMs: 1,
    },
    { name: 'a growing WAL', autoCheckpoint: 0, pattern: 'rows' as const, paceMs: 1 },
    {
      name: 'RESTART every 50 ms',
      autoCheckpoint: 50,
      pattern: 'vacuum' as const,
      paceMs: 1,
      checkpoint: 'RESTART' as const,
    },
  ])('slow copies are exact: $name', async ({ autoCheckpoint, pattern, paceMs, checkpoint }, context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const writer = await scene.application({ autoCheckpoint })
    // Several blocks of a copy.
    await writer.run(manyRows(2000))
    const observer = await scene.observer(mount, { copyDelayMs: 60, minCheckpointPageCount: 100 })
    const load = writer.load({ forMs: 60_000, paceMs, pattern, checkpoint, checkpointEveryMs: 50 })
    await observer.untilComplete()
    for (let i = 0; i < 2; i++) {
      await observer.copyAgain()
      const contents = await observer.contents()
      if (contents) expect(isCommit(contents)).toBe(true)
    }
    await writer.child.call('nowStopLoad')
    await load
    await observer.untilComplete()
    const { report, contents } = await observer.stop()
    console.info(
      `${mount}: ${report.copies} copies of ${report.pageCount} pages, ${report.crossings} crossings, failed ${JSON.stringify(report.copyFailures)}, lost ${JSON.stringify(report.losses)}`,
    )
    expect(report.unexpected).toEqual([])
    expect(report.pageCount * 4096).toBeGreaterThan(2 << 20)
    expect(differingPages(await writer.contents(), contents)).toEqual([])
  })

  test('a transaction larger than the memory bound goes through the spool', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const writer = await scene.application({ autoCheckpoint: 0 })
    await writer.run("insert into t(id, b) values(1, 'a')")
    const observer = await scene.observer(mount, { memoryBytes: 1 << 16 })
    await observer.untilComplete()
    await writer.run(manyRows(3000))
    await writer.pragma('wal_checkpoint(RESTART)')
    await writer.run('update u set b = randomblob(3000)')
    const { report, contents } = await observer.stop()
    expect(report.losses).toEqual([])
    expect(differingPages(await writer.contents(), contents)).toEqual([])
  })
})
