// A database of a few pages in memory, with whoever follows it: what a real source does once in a thousand times can be made to happen.

import { systemClock } from '../../src/clock.js'
import { silentLogger } from '../../src/logger.js'
import type { MemoryClient } from '../../src/replica/memory-client.js'
import type { Follower } from '../../src/replicate/follower.js'
import { Shipper, type ShipperOptions } from '../../src/replicate/shipper.js'
import type { Sink, SourceState } from '../../src/replicate/sink.js'
import { ChunkPool } from '../../src/source/spool.js'
import { makePage } from './synthetic-replica.js'

const PAGE_SIZE = 512
export const PAGES = 8

export class ScriptedSource {
  pages: Buffer[] = []
  readonly sinks = new Set<Sink>()
  copies = 0
  /** Called when a copy is about to begin, before it sees anything. */
  beforeCopy: (copy: number) => void = () => {}
  /** Called once, when everything was copied. */
  beforeCopyEnds: () => void = () => {}
  /** Why nobody may go on where a replica stands. */
  unproven = 'no generation exists'
  /** Called before each piece of the file is read. */
  beforeRead: () => void = () => {}
  private commits = 0

  constructor() {
    this.replace(PAGE_SIZE, PAGES)
  }

  /** Another database at the same place. */
  replace(pageSize: number, pageCount: number): void {
    this.pages = Array.from({ length: pageCount }, (_, i) => Buffer.alloc(pageSize, pageCount === PAGES ? 0 : i + 1))
    this.page(1).set(makePage(1, 0, pageSize))
  }

  page(page: number): Buffer {
    return this.pages[page - 1] as Buffer
  }

  state(): SourceState {
    const cursor = { salt1: 1, salt2: 2, frames: this.commits, checksum1: 0, checksum2: 0, iChange: this.commits }
    return {
      pageSize: this.page(1).length,
      pageCount: this.pages.length,
      observedAtMs: systemClock.now(),
      source: { cursor },
    }
  }

  /** Writes one page; the first one behind the end lets the database grow. With `pageCount` it shrinks afterwards. */
  commit(page: number, pageCount = Math.max(page, this.pages.length)): void {
    this.commits++
    if (page > this.pages.length) this.pages.push(Buffer.alloc(this.page(1).length))
    this.page(page).fill(this.commits)
    for (const sink of this.sinks) sink.begin()
    for (const sink of this.sinks) sink.put(page, this.page(page))
    this.pages.length = pageCount
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
      join: async () => this.unproven,
      leave: (sink) => void this.sinks.delete(sink),
      state: () => this.state(),
      beginCopy: async (sink) => {
        this.beforeCopy(++this.copies)
        this.sinks.add(sink)
        const read = async (into: Uint8Array, length: number, position: number) => {
          this.beforeRead()
          const pageSize = this.page(1).length
          let at = 0
          for (; at < length; at += pageSize) {
            const page = this.pages[(position + at) / pageSize]
            if (!page) break
            into.set(page, at)
          }
          return at
        }
        return { state: this.state(), read }
      },
      endCopy: async (sink, next) => {
        this.beforeCopyEnds()
        this.beforeCopyEnds = () => {}
        this.sinks.delete(sink)
        this.sinks.add(next)
        return this.state()
      },
    }
    return scripted as unknown as Follower
  }
}

let random = 0

export function shipperOf(
  source: ScriptedSource,
  client: MemoryClient,
  snapshotIntervalMs: number,
  more: Partial<ShipperOptions> = {},
): Shipper {
  return new Shipper(source.follower(), {
    name: 'memory',
    client,
    syncIntervalMs: 0,
    snapshotIntervalMs,
    pool: new ChunkPool(1 << 20),
    clock: systemClock,
    randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
    log: silentLogger,
    ...more,
  })
}
