// What the simulator found in the tracker, as short stories.

import { expect, test } from 'vitest'
import type { WalCursor } from '../../src/model/provenance.js'
import type { Sink } from '../../src/replicate/sink.js'
import { WalTracker } from '../../src/replicate/wal-tracker.js'
import type { ObservedFiles } from '../../src/source/files.js'
import { ChunkPool } from '../../src/source/spool.js'
import type { Connection, Operation } from './connections.js'
import { PAGE_BYTES } from './disk.js'
import { makeScene } from './scene.js'
import type { Transaction } from './sqlite.js'

const work = (pages: readonly number[], more: Partial<Transaction> = {}): Transaction => ({
  pages,
  pageCount: 4,
  rollback: false,
  padding: 0,
  sync: false,
  walBytesMax: 0,
  ...more,
})

const finish = (operation: Operation<unknown>): void => {
  while (!operation.next().done);
}

/** Stands at the newest commit. */
async function observe({ observer, scheduler, process }: ReturnType<typeof makeScene>) {
  const files = observer.open() as ObservedFiles
  files.openLive()
  const tracker = new WalTracker(files, PAGE_BYTES, {
    pool: new ChunkPool(1 << 20),
    clock: scheduler.clockOf(process),
    attached: () => true,
    protected: () => false,
  })
  expect(await tracker.anchor()).toBe(true)
  return { files, tracker }
}

test('frames of a transaction that was rolled back are not taken for the end of the old cycle', async () => {
  const scene = makeScene()
  const { sqlite } = scene
  const application = sqlite.open('application', false, true) as Connection
  finish(sqlite.transact(application, work([1, 2]), 0))

  const { files, tracker } = await observe(scene)
  const put: number[] = []
  const sink: Sink = { begin: () => {}, put: (page) => put.push(page), commit: () => {}, lost: () => put.push(-1) }
  tracker.sinks.add(sink)

  // Spilled to the WAL, and rolled back; then all is checkpointed, and the next writer restarts the WAL and has written nothing yet.
  finish(sqlite.transact(application, work([3, 4], { rollback: true }), 0))
  finish(sqlite.checkpoint(application, 'PASSIVE', 0))
  const before = files.walIndex()?.salt1
  const writing = sqlite.transact(application, work([2]), 0)
  while ((files.walIndex()?.salt1 ?? before) === before) writing.next()

  expect(await tracker.look()).toEqual({ outcome: 'moved' })
  expect(put).toEqual([])
  finish(writing)
  expect(await tracker.look()).toEqual({ outcome: 'moved' })
  expect(put).toEqual([2])
})

test('a WAL in which nothing was written yet is not taken for the one that was there before', async () => {
  const scene = makeScene()
  const { sqlite } = scene
  const come = () => {
    const application = sqlite.open('application', false, true) as Connection
    sqlite.beginRead(application)
    sqlite.endRead(application)
    return application
  }
  const first = come()
  const resume = (await observe(scene)).tracker.cursor as WalCursor
  expect(resume).toMatchObject({ salt1: 0, salt2: 0, frames: 0 })
  // Nobody watches now. The last close takes the WAL away.
  finish(sqlite.transact(first, work([2]), 0))
  finish(sqlite.close(first))
  come()
  const sink: Sink = { begin: () => {}, put: () => {}, commit: () => {}, lost: () => {} }
  const { tracker } = await observe(scene)
  expect(tracker.cursor).toEqual(resume)
  expect(await tracker.join(sink, resume)).toBe(
    'the WAL was empty when it was last seen, and any empty WAL looks like it',
  )
  expect(await tracker.between(resume, resume, () => {})).toBe(false)
})
