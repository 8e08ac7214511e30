// A replica of very many segments, quickly: a real database with as many small transactions, whose WAL is handed to our Shipper
// commit by commit, each as a segment of its own. The Shipper's storage is in memory; the objects are written to the directory of
// a file replica at the end, because a fsync for each of them would take minutes.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { systemClock } from '../../src/clock.js'
import { silentLogger } from '../../src/logger.js'
import { MemoryClient } from '../../src/replica/memory-client.js'
import type { Follower } from '../../src/replicate/follower.js'
import { Shipper } from '../../src/replicate/shipper.js'
import type { SourceState } from '../../src/replicate/sink.js'
import { ChunkPool } from '../../src/source/spool.js'
import { FRAME_HEADER_BYTES, frameOffset, parseWalHeader, WAL_HEADER_BYTES } from '../../src/sqlite/wal-format.js'
import { until } from '../support/until.js'

const PAGE_SIZE = 512

/** Writes the replica; resolves with the source's content, and how many segments and indexes the replica has. */
export async function writeManySegments(directory: string, replicaPath: string, transactions: number) {
  const path = join(directory, 'many.db')
  const database = new Database(path)
  for (const pragma of [
    `page_size = ${PAGE_SIZE}`,
    'journal_mode = WAL',
    'synchronous = OFF',
    'wal_autocheckpoint = 0',
  ]) {
    database.pragma(pragma)
  }
  database.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, done INTEGER, body BLOB)')
  const insert = database.prepare('INSERT INTO item (done, body) VALUES (0, randomblob(150))')
  for (let row = 0; row < 60; row++) insert.run()
  database.pragma('wal_checkpoint(TRUNCATE)')
  const base = database.serialize()
  const update = database.prepare('UPDATE item SET done = ?, body = randomblob(150) WHERE id = ?')
  for (let step = 1; step <= transactions; step++) {
    // Now and then the database grows.
    if (step % 500 === 0) insert.run()
    else update.run(step, 1 + ((step * 7) % 60))
  }
  const wal = readFileSync(`${path}-wal`)
  const source = database.serialize()
  database.close()

  const client = new MemoryClient()
  await ship(client, base, wal)
  const names: string[] = []
  for await (const { key } of client.list('generations/')) {
    const parts: Uint8Array[] = []
    for await (const part of await client.get(key)) parts.push(part)
    const file = join(replicaPath, key)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, Buffer.concat(parts))
    if (key.includes('/wal/')) names.push(key.split('/').at(-1) as string)
  }
  return { source, segments: names.length, indexes: new Set(names.map((name) => name.slice(0, 8))).size }
}

async function ship(client: MemoryClient, base: Buffer, wal: Buffer): Promise<void> {
  const header = parseWalHeader(wal)
  if (!header) throw new Error('this is not a WAL')
  const { salt1, salt2 } = header
  const stateAt = (frames: number, pageCount: number): SourceState => ({
    pageSize: PAGE_SIZE,
    pageCount,
    observedAtMs: systemClock.now(),
    source: { cursor: { salt1, salt2, frames, checksum1: 0, checksum2: 0, iChange: frames } },
  })
  const start = stateAt(0, base.length / PAGE_SIZE)
  const follower: Pick<Follower, 'join' | 'leave' | 'state' | 'beginCopy' | 'endCopy'> = {
    join: async () => 'no generation exists',
    leave: () => {},
    state: () => start,
    beginCopy: async () => ({
      state: start,
      read: async (into, length, position) => base.copy(into, 0, position, position + length),
    }),
    endCopy: async () => start,
  }
  let random = 0
  const shipper = new Shipper(follower as unknown as Follower, {
    name: 'file',
    client,
    syncIntervalMs: 0,
    snapshotIntervalMs: 0,
    pool: new ChunkPool(1 << 24),
    clock: systemClock,
    randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
    log: silentLogger,
  })
  /** Nearly always a few turns of the event loop; a timer for each of 20,000 would be slow. */
  const shipped = async (): Promise<void> => {
    for (let turn = 0; turn < 1000 && !shipper.inSync; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    await until(() => shipper.inSync, { what: 'the shipper to be in sync' })
  }
  shipper.start()
  await shipped()
  let first = 0
  const frames = Math.floor((wal.length - WAL_HEADER_BYTES) / (FRAME_HEADER_BYTES + PAGE_SIZE))
  for (let frame = 0; frame < frames; frame++) {
    const pageCount = wal.readUInt32BE(frameOffset(frame, PAGE_SIZE) + 4)
    if (pageCount === 0) continue
    shipper.begin()
    for (; first <= frame; first++) {
      const at = frameOffset(first, PAGE_SIZE)
      shipper.put(wal.readUInt32BE(at), wal.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + PAGE_SIZE))
    }
    shipper.commit(stateAt(frame + 1, pageCount))
    await shipped()
  }
  await shipper.stop(10_000)
}
