// Applications that are killed: at any moment, inside the sync of a commit (which leaves a ghost), or that are restarted while the
// observer has let go. The copy is a commit of the database whenever one looks, and exact at the end.

import { describe, expect, test } from 'vitest'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import { killInFsync } from '../support/observer/kill-in-fsync.js'
import { differingPages, isCommit, makeScene, type Observer } from '../support/observer/scene.js'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function expectCommit(observer: Observer): Promise<void> {
  const contents = await observer.contents()
  if (contents) expect(isCommit(contents)).toBe(true)
}

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test('killed every 0.3 to 0.45 s with synchronous=FULL', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const options = { synchronous: 'full' as const, autoCheckpoint: 100 }
    await (await scene.application(options)).load({ forMs: 50, paceMs: 0, pattern: 'rows' })
    const observer = await scene.observer(mount, { minCheckpointPageCount: 200 })
    for (let i = 0; i < 6; i++) {
      const victim = await scene.application(options)
      const load = victim.load({ forMs: 60_000, paceMs: 0, pattern: 'rows' }).catch(() => undefined)
      await sleep(300 + (i % 4) * 50)
      await victim.kill()
      await load
      await expectCommit(observer)
    }
    const last = await scene.application(options)
    await observer.untilComplete()
    await last.load({ forMs: 200, paceMs: 0, pattern: 'rows' })
    await observer.untilComplete()
    const { report, contents } = await observer.stop()
    console.info(`${mount}: ${report.crossings} crossings, lost ${JSON.stringify(report.losses)}`)
    expect(report.unexpected).toEqual([])
    expect(differingPages(await last.contents(), contents)).toEqual([])
  })

  test('killed inside the sync of a commit while another connection stays open', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const holder = await scene.application({ autoCheckpoint: 0 })
    await holder.load({ forMs: 50, paceMs: 0, pattern: 'rows' })
    const observer = await scene.observer(mount)
    await observer.untilComplete()
    for (let i = 0; i < 6; i++) {
      const victim = await scene.application(
        { synchronous: 'full', autoCheckpoint: 0 },
        killInFsync(context, scene.directory, 5 + i * 3),
      )
      await expect(victim.load({ forMs: 60_000, paceMs: 0, pattern: 'rows' })).rejects.toThrow('SIGKILL')
      await expectCommit(observer)
      if (i % 3 === 0) await holder.pragma('wal_checkpoint(RESTART)')
      if (i % 3 === 1) await holder.pragma('wal_checkpoint(TRUNCATE)')
      await holder.load({ forMs: i * 10, paceMs: 2, pattern: 'rows' })
      await expectCommit(observer)
    }
    await observer.untilComplete()
    const { report, contents } = await observer.stop()
    console.info(`${mount}: ${report.crossings} crossings, lost ${JSON.stringify(report.losses)}`)
    expect(report.unexpected).toEqual([])
    expect(differingPages(await holder.contents(), contents)).toEqual([])
  })

  test('closed and started again, again and again, while the observer holds and releases', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const first = await scene.application()
    await first.load({ forMs: 50, paceMs: 0, pattern: 'rows' })
    const observer = await scene.observer(mount, { monitorIntervalMs: 50 })
    await observer.untilComplete()
    await first.close()
    for (let i = 0; i < 12; i++) {
      await first.child.call('open', { path: scene.path })
      await first.load({ forMs: 10 + i * 5, paceMs: 3, pattern: 'rows' })
      // Long enough for a release, in which the next restart falls.
      await sleep(i * 15)
      if (i % 4 === 3) await first.pragma('wal_checkpoint(TRUNCATE)')
      await first.close()
      await expectCommit(observer)
    }
    const last = await scene.application()
    const { report, contents } = await observer.stop()
    expect(report.unexpected).toEqual([])
    // While we are attached, the last close of an application neither checkpoints nor deletes the WAL.
    expect(new Set(report.history)).toEqual(new Set(['attached: following the WAL', 'waiting: stopped']))
    expect(differingPages(await last.contents(), contents)).toEqual([])
  })

  test('two observers at once', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const writer = await scene.application()
    const observers = [
      await scene.observer(mount, { minCheckpointPageCount: 1000 }),
      await scene.observer(mount, { minCheckpointPageCount: 4000 }),
    ]
    for (const observer of observers) await observer.untilComplete()
    const done = await writer.load({ forMs: 2500, paceMs: 0, pattern: 'rows' })
    const source = await writer.contents()
    for (const observer of observers) {
      const { report, contents } = await observer.stop()
      console.info(
        `${mount}: ${done.transactions} transactions, ${report.crossings} crossings, lost ${report.losses.length}`,
      )
      expect(report.unexpected).toEqual([])
      expect(differingPages(source, contents)).toEqual([])
    }
  })
})
