// A writer that was away for long: the keys behind its place may be free because somebody took them and has deleted them since.

import { expect, test } from 'vitest'
import type { TimerClock } from '../../../src/clock.js'
import { silentLogger } from '../../../src/logger.js'
import { snapshotKey, snapshotsPrefix } from '../../../src/model/layout.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { WriterConflict } from '../../../src/replicate/claim.js'
import { ReplicaRecord } from '../../../src/replicate/replica-record.js'
import { ReplicaWriter } from '../../../src/replicate/replica-writer.js'
import type { SourceState } from '../../../src/replicate/sink.js'
import { Changeset } from '../../../src/source/changeset.js'
import { ChunkPool } from '../../../src/source/spool.js'

const PAGE_SIZE = 512
const CERTAIN_FOR_MS = 60_000
const { signal } = new AbortController()

const stateAt = (frames: number): SourceState => ({
  pageSize: PAGE_SIZE,
  pageCount: 1,
  observedAtMs: 1000 + frames,
  source: { cursor: { salt1: 1, salt2: 2, frames, checksum1: frames, checksum2: 0, iChange: frames } },
})

async function* one(bytes: Buffer) {
  yield bytes
}

async function setUp() {
  const time = { wallMs: 1_000_000, monotonicMs: 5000 }
  const clock: TimerClock = {
    now: () => time.wallMs,
    monotonic: () => time.monotonicMs,
    after: () => () => {},
    turn: async () => {},
  }
  const client = new MemoryClient()
  let random = 0
  const writer = new ReplicaWriter({
    client,
    clock,
    record: new ReplicaRecord(clock),
    randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
    log: silentLogger,
    certainForMs: CERTAIN_FOR_MS,
  })
  const place = writer.newGeneration()
  writer.place = place
  const state = stateAt(0)
  await writer.writeSnapshot(
    place,
    one(Buffer.alloc(PAGE_SIZE, 1)),
    () => ({ state, bytes: PAGE_SIZE, overlayBytes: 0 }),
    signal,
  )
  let frames = 0
  const ship = async () => {
    const changes = new Changeset(new ChunkPool(1 << 20))
    changes.put(1, Buffer.alloc(PAGE_SIZE, ++frames))
    const next = await writer.nextSegment(signal)
    if (next) await writer.writeSegment(changes, stateAt(frames), next, signal)
  }
  let listings = 0
  const list = client.list.bind(client)
  client.list = (prefix, ...rest) => {
    if (prefix === snapshotsPrefix(place.generation)) listings++
    return list(prefix, ...rest)
  }
  /** Another writer has gone on, and what lay before its newest snapshot has expired. */
  const others = async () => {
    const keys: string[] = []
    for await (const { key } of list('generations/')) keys.push(key)
    await client.put(snapshotKey(place.generation, 7), one(Buffer.from('another')))
    await client.delete(keys)
  }
  return { time, writer, ship, others, listings: () => listings }
}

test('a writer at work asks nothing; after a pause it looks once', async () => {
  const { time, ship, listings } = await setUp()
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
    const { time, writer, ship, others } = await setUp()
    await ship()
    const before = writer.place
    await others()
    time[which] += CERTAIN_FOR_MS
    await expect(ship()).rejects.toThrow(WriterConflict)
    expect(writer.place).toEqual(before)
  },
)
