// A writer that was away for long: the keys behind its place may be free because somebody took them and has deleted them since.

import { expect, test } from 'vitest'
import { WriterConflict } from '../../../src/replicate/claim.js'
import { CERTAIN_FOR_MS, writerOnMemory } from '../../support/writer-on-memory.js'

test('a writer at work asks nothing; after a pause it looks once', async () => {
  const { time, ship, listings } = await writerOnMemory()
  await ship()
  const first = listings()
  for (let i = 0; i < 5; i++) {
    time.wallMs += CERTAIN_FOR_MS - 1
    time.monotonicMs += CERTAIN_FOR_MS - 1
    await ship()
  }
  expect(listings()).toBe(first)
  time.wallMs += CERTAIN_FOR_MS
  time.monotonicMs += CERTAIN_FOR_MS
  await ship()
  await ship()
  expect(listings()).toBe(first + 1)
})

test.each(['wallMs', 'monotonicMs'] as const)(
  'nothing is written where another writer was, and has deleted what it wrote (%s has passed)',
  async (which) => {
    const { time, writer, ship, others } = await writerOnMemory()
    await ship()
    const before = writer.place
    await others()
    time[which] += CERTAIN_FOR_MS
    await expect(ship()).rejects.toThrow(WriterConflict)
    expect(writer.place).toEqual(before)
  },
)

test.each(['wallMs', 'monotonicMs'] as const)(
  'nothing is written behind a generation that was deleted as a whole (%s has passed)',
  async (which) => {
    const { time, writer, ship, deleteAll } = await writerOnMemory()
    await ship()
    await deleteAll()
    const before = writer.place
    time[which] += CERTAIN_FOR_MS
    const rejection = expect(ship()).rejects
    await rejection.toThrow(WriterConflict)
    await rejection.toThrow('whoever has deleted its snapshots')
    expect(writer.place).toEqual(before)
  },
)

test('a snapshot that is not listed yet is not taken for deleted', async () => {
  const { ship, deleteAll, listings } = await writerOnMemory()
  await deleteAll()
  await ship()
  expect(listings()).toBe(1)
})
