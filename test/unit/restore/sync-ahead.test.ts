import { expect, test } from 'vitest'
import { SyncAhead } from '../../../src/restore/sync-ahead.js'

const STEP = 32 << 20

/** Each sync ends when it is told to. */
function disk() {
  const syncs: { readonly done: () => void; readonly failed: (error: Error) => void }[] = []
  return { syncs, datasync: () => new Promise<void>((done, failed) => void syncs.push({ done, failed })) }
}

test('a sync begins after each step, and the next one waits for it', async () => {
  const file = disk()
  const ahead = new SyncAhead(file)
  await ahead.wrote(STEP - 1)
  expect(file.syncs.length).toBe(0)
  await ahead.wrote(1)
  expect(file.syncs.length).toBe(1)
  const second = ahead.wrote(STEP)
  await Promise.resolve()
  expect(file.syncs.length).toBe(1)
  file.syncs[0]?.done()
  await second
  expect(file.syncs.length).toBe(2)
  file.syncs[1]?.done()
  await ahead.end()
})

test('what the disk refused is an error, at the next step or at the end', async () => {
  const refused = new Error('EIO')
  for (const next of [(ahead: SyncAhead) => ahead.wrote(STEP), (ahead: SyncAhead) => ahead.end()]) {
    const file = disk()
    const ahead = new SyncAhead(file)
    await ahead.wrote(STEP)
    file.syncs[0]?.failed(refused)
    await expect(next(ahead)).rejects.toBe(refused)
  }
})

test('where there is no disk nothing is synced', async () => {
  const ahead = new SyncAhead({})
  await ahead.wrote(STEP)
  await ahead.end()
})
