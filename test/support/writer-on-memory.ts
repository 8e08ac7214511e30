// A replica writer on a store in memory, with a clock that stands until it is moved, and a generation that has begun.

import type { TimerClock } from '../../src/clock.js'
import { silentLogger } from '../../src/logger.js'
import { snapshotKey, snapshotsPrefix } from '../../src/model/layout.js'
import { MemoryClient } from '../../src/replica/memory-client.js'
import { ReplicaRecord } from '../../src/replicate/replica-record.js'
import { type Place, ReplicaWriter } from '../../src/replicate/replica-writer.js'
import type { SourceState } from '../../src/replicate/sink.js'
import { Changeset } from '../../src/source/changeset.js'
import { ChunkPool } from '../../src/source/spool.js'

const PAGE_SIZE = 512
export const CERTAIN_FOR_MS = 60_000
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

export async function writerOnMemory() {
  const time = { wallMs: 1_000_000, monotonicMs: 5000 }
  const clock: TimerClock = {
    now: () => time.wallMs,
    monotonic: () => time.monotonicMs,
    uptime: () => ({ boot: 'test', ms: time.monotonicMs }),
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
  let frames = 0
  const snapshot = async (at: Place) => {
    const pages = one(Buffer.alloc(PAGE_SIZE, 1 + frames))
    await writer.writeSnapshot(at, pages, () => ({ state: stateAt(frames), bytes: PAGE_SIZE, overlayBytes: 0 }), signal)
  }
  await snapshot(place)
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
  /** Another writer's retention has taken the generation for one that has ended. */
  const deleteAll = async () => {
    const keys: string[] = []
    for await (const { key } of list('generations/')) keys.push(key)
    await client.delete(keys)
  }
  return { client, time, writer, ship, snapshot, others, deleteAll, listings: () => listings }
}
