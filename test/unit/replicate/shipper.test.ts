// The shipper against a scripted source, where what a real one does once in a thousand times can be made to happen.

import { expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { decodeFrame } from '../../../src/codec/frame.js'
import { silentLogger } from '../../../src/logger.js'
import { parseKey } from '../../../src/model/layout.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import type { Follower } from '../../../src/replicate/follower.js'
import { Shipper } from '../../../src/replicate/shipper.js'
import type { Sink, SourceState } from '../../../src/replicate/sink.js'
import { ChunkPool } from '../../../src/source/spool.js'
import { until } from '../../support/until.js'

const PAGE_SIZE = 512
const PAGES = 8

/** A database of a few pages, with whoever follows it. */
class ScriptedSource {
  readonly pages = Array.from({ length: PAGES }, () => Buffer.alloc(PAGE_SIZE))
  readonly sinks = new Set<Sink>()
  copies = 0
  /** Called when a copy is about to begin, before it sees anything. */
  beforeCopy: (copy: number) => void = () => {}
  private commits = 0

  state(): SourceState {
    const cursor = { salt1: 1, salt2: 2, frames: this.commits, checksum1: 0, checksum2: 0, iChange: this.commits }
    return { pageSize: PAGE_SIZE, pageCount: PAGES, observedAtMs: systemClock.now(), source: { cursor } }
  }

  /** Writes one page. */
  commit(page: number): void {
    this.commits++
    ;(this.pages[page - 1] as Buffer).fill(this.commits)
    for (const sink of this.sinks) sink.begin()
    for (const sink of this.sinks) sink.put(page, this.pages[page - 1] as Buffer)
    for (const sink of this.sinks) sink.commit(this.state())
  }

  /** As the tracker does: everybody is told, and out. */
  lose(reason: string): void {
    const sinks = [...this.sinks]
    this.sinks.clear()
    for (const sink of sinks) sink.lost(reason)
  }

  follower(): Follower {
    const scripted: Pick<Follower, 'join' | 'leave' | 'state' | 'hasSource' | 'beginCopy' | 'endCopy'> = {
      hasSource: true,
      join: async () => 'no generation exists',
      leave: (sink) => void this.sinks.delete(sink),
      state: () => this.state(),
      beginCopy: async (sink) => {
        this.beforeCopy(++this.copies)
        this.sinks.add(sink)
        const read = async (into: Uint8Array, length: number, position: number) =>
          Buffer.concat(this.pages).copy(into, 0, position, position + length)
        return { state: this.state(), read }
      },
      endCopy: async (sink, next) => {
        this.sinks.delete(sink)
        this.sinks.add(next)
        return this.state()
      },
    }
    return scripted as unknown as Follower
  }
}

function shipperOf(source: ScriptedSource, client: MemoryClient, snapshotIntervalMs: number): Shipper {
  let random = 0
  return new Shipper(source.follower(), {
    name: 'memory',
    client,
    syncIntervalMs: 0,
    snapshotIntervalMs,
    pool: new ChunkPool(1 << 20),
    clock: systemClock,
    randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
    log: silentLogger,
  })
}

async function snapshotsOf(client: MemoryClient) {
  const found: { generation: string; index: number; content: Buffer }[] = []
  for await (const { key } of client.list('generations/')) {
    const name = parseKey(key)
    if (name?.kind !== 'snapshot') continue
    const pieces: Buffer[] = []
    for await (const piece of decodeFrame(await client.get(key), { name: key })) pieces.push(piece)
    found.push({ generation: name.generation, index: name.index, content: Buffer.concat(pieces) })
  }
  return found
}

test('continuity lost between the decision for a snapshot and its beginning: a new generation, not a snapshot in the old one', async () => {
  const source = new ScriptedSource()
  const client = new MemoryClient()
  const shipper = shipperOf(source, client, 1)
  source.beforeCopy = (copy) => {
    if (copy !== 2) return // Commits that nobody saw, then one after the source was taken up anew.
    ;(source.pages[3] as Buffer).fill(200)
    source.lose('the WAL was restarted before all of its commits were read')
    source.commit(5)
  }
  shipper.start()
  await until(() => shipper.inSync, { what: 'the first snapshot' })
  source.commit(2)
  await until(() => source.copies >= 3 && shipper.inSync, { what: 'the next generation' })
  await shipper.stop(5000)

  const snapshots = await snapshotsOf(client)
  expect(new Set(snapshots.map(({ generation }) => generation)).size).toBe(2)
  // The generation that lost its continuity ends where it was lost.
  expect(snapshots.filter(({ index }) => index > 0)).toEqual([])
  const newest = snapshots.filter(({ generation }) => generation !== snapshots[0]?.generation)
  expect(newest.map(({ content }) => content.equals(Buffer.concat(source.pages)))).toEqual([true])
})
