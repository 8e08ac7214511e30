// Under fast writing the system is asked, file by file and in steps, to write back what the application has written.

import { expect, test } from 'vitest'
import { WriteBack } from '../../../src/replicate/write-back.js'
import type { WalIndexHeader } from '../../../src/sqlite/wal-index.js'

const FRAME_BYTES = 1 << 18 // four frames are a step

/** Files whose writing back ends when the test says so. */
function slowDisk() {
  const asked: string[] = []
  const ends: (() => void)[] = []
  const writeBack = (file: string): Promise<void> => {
    asked.push(file)
    return new Promise((resolve) => ends.push(resolve))
  }
  const finish = async (): Promise<void> => {
    for (const end of ends.splice(0)) end()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { asked, finish, files: { writeBack } }
}

const header = (mxFrame: number, backfilled = 0, salt1 = 1) =>
  ({ mxFrame, backfilled, salt1, salt2: 7 }) as WalIndexHeader

test('the WAL is written back every megabyte, one at a time', async () => {
  const { asked, finish, files } = slowDisk()
  const writeBack = new WriteBack(files)
  const see = (frames: number) => writeBack.see(header(frames), FRAME_BYTES)
  see(3)
  expect(asked).toEqual([])
  see(4)
  see(9)
  expect(asked).toEqual(['wal'])
  await finish()
  see(9)
  expect(asked).toEqual(['wal', 'wal'])
  await finish()
  see(12)
  expect(asked).toEqual(['wal', 'wal'])
})

test('so is the database file as it is checkpointed, but not what a whole checkpoint has synced itself', async () => {
  const { asked, finish, files } = slowDisk()
  const writeBack = new WriteBack(files)
  writeBack.see(header(4), FRAME_BYTES)
  await finish()
  writeBack.see(header(7, 4), FRAME_BYTES)
  expect(asked).toEqual(['wal', 'database'])
  await finish()
  writeBack.see(header(7, 7), FRAME_BYTES)
  expect(asked).toEqual(['wal', 'database'])
})

test('one of the two at a time, the one with more to write first: what the application syncs waits for no more than that', async () => {
  const { asked, finish, files } = slowDisk()
  const writeBack = new WriteBack(files)
  writeBack.see(header(12, 8), FRAME_BYTES)
  writeBack.see(header(16, 9), FRAME_BYTES)
  expect(asked).toEqual(['wal'])
  await finish()
  writeBack.see(header(17, 9), FRAME_BYTES)
  expect(asked).toEqual(['wal', 'database'])
  writeBack.see(header(40, 9), FRAME_BYTES)
  expect(asked).toHaveLength(2)
  await finish()
})

test('a restarted WAL begins anew', async () => {
  const { asked, finish, files } = slowDisk()
  const writeBack = new WriteBack(files)
  writeBack.see(header(20), FRAME_BYTES)
  await finish()
  writeBack.see(header(3, 0, 2), FRAME_BYTES)
  expect(asked).toEqual(['wal'])
  writeBack.see(header(4, 0, 2), FRAME_BYTES)
  expect(asked).toEqual(['wal', 'wal'])
  await finish()
})

test('a slow disk takes no more than two threads of the pool, whatever the number of databases', async () => {
  const { asked, finish, files } = slowDisk()
  for (let database = 0; database < 5; database++) new WriteBack(files).see(header(8), FRAME_BYTES)
  expect(asked).toEqual(['wal', 'wal'])
  await finish()
  new WriteBack(files).see(header(8), FRAME_BYTES)
  expect(asked).toHaveLength(3)
  await finish()
})
