// Replicas made by hand, in both manners: ours (coalesced segments, provenance, snapshots with an overlay) and the real Litestream's
// (literal WAL, no provenance). The database is an array of pages whose content the caller chooses, so that every object is
// exactly what a test wants, and the expected state at every commit is known.

import { encodeFrame as encodeLz4Frame } from '../../src/codec/frame.js'
import { segmentKey, snapshotKey } from '../../src/model/layout.js'
import { encodeProvenance, type Provenance } from '../../src/model/provenance.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { encodeFrame, encodeWalHeader, FRAME_HEADER_BYTES, WalChecksum } from '../../src/sqlite/wal-format.js'

/** Page number to content; page numbers begin at 1. */
type Pages = ReadonlyMap<number, Buffer>

export interface Transaction {
  readonly pages: Pages
  /** Size of the database afterwards, in pages. */
  readonly pageCount: number
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}

/** A page that is told apart from every other by its first bytes; page 1 begins a valid SQLite database in WAL mode. */
export function makePage(page: number, version: number, pageSize: number): Buffer {
  const bytes = Buffer.alloc(pageSize)
  for (let at = 0; at + 8 <= pageSize; at += 64) {
    bytes.writeUInt32LE(page, at)
    bytes.writeUInt32LE(version, at + 4)
  }
  if (page === 1) {
    bytes.write('SQLite format 3\0', 0, 'latin1')
    bytes.writeUInt16BE(pageSize === 65536 ? 1 : pageSize, 16)
    bytes.set([2, 2, 0, 64, 32, 32], 18)
  }
  return bytes
}

/** The database that a restore must give: pages that were never written read as zeros. */
export class DatabaseModel {
  private pages = new Map<number, Buffer>()
  pageCount = 0

  constructor(readonly pageSize: number) {}

  apply({ pages, pageCount }: Transaction): void {
    for (const [page, bytes] of pages) this.pages.set(page, bytes)
    this.pageCount = pageCount
  }

  /** The end of an index cuts off for good what is beyond the size. */
  cut(): void {
    for (const page of this.pages.keys()) if (page > this.pageCount) this.pages.delete(page)
  }

  bytes(): Buffer {
    const result = Buffer.alloc(this.pageCount * this.pageSize)
    for (const [page, bytes] of this.pages) if (page <= this.pageCount) bytes.copy(result, (page - 1) * this.pageSize)
    return result
  }
}

/** Writes the indexes of one generation, one after the other. */
export class SyntheticReplica {
  private readonly checksum: WalChecksum
  private salt1 = 1000
  private offset = 0
  private endOfPrevious: { index: number; offset: number } | undefined
  index: number

  constructor(
    readonly client: ReplicaClient,
    readonly options: {
      readonly generation: string
      readonly pageSize: number
      /** Write provenance, as we do. */
      readonly ours: boolean
      readonly bigEndianChecksum?: boolean
      readonly firstIndex?: number
    },
  ) {
    this.index = options.firstIndex ?? 0
    this.checksum = new WalChecksum(options.bigEndianChecksum ?? false)
  }

  async snapshot(database: Buffer, observedAtMs: number, overlayBytes?: number): Promise<string> {
    const key = snapshotKey(this.options.generation, this.index)
    const pageCount = database.length / this.options.pageSize
    await this.put(key, database, { kind: 'snapshot', pageCount, observedAtMs, overlayBytes })
    return key
  }

  /** The transactions as the next segment of the index; ours hold one. None: an empty segment, which closes the index. */
  async segment(transactions: readonly Transaction[], observedAtMs: number): Promise<{ key: string; bytes: number }> {
    const key = segmentKey(this.options.generation, this.index, this.offset)
    const content = this.encode(transactions)
    const previous = this.offset === 0 ? this.endOfPrevious : undefined
    const pageCount = transactions.at(-1)?.pageCount ?? 0
    await this.put(key, content, { kind: 'segment', pageCount, observedAtMs, previous })
    this.offset += content.length
    return { key, bytes: content.length }
  }

  nextIndex(): void {
    this.endOfPrevious = { index: this.index, offset: this.offset }
    this.index++
    this.offset = 0
    this.salt1++
  }

  private encode(transactions: readonly Transaction[]): Buffer {
    const { pageSize } = this.options
    const salts = { salt1: this.salt1, salt2: (this.salt1 * 0x9e3779b1) >>> 0 }
    const parts: Buffer[] = []
    for (const { pages, pageCount } of transactions) {
      if (parts.length === 0 && this.offset === 0) parts.push(this.walHeader(salts))
      const last = [...pages.keys()].at(-1)
      for (const [page, bytes] of pages) {
        const frame = Buffer.alloc(FRAME_HEADER_BYTES + pageSize)
        bytes.copy(frame, FRAME_HEADER_BYTES)
        const commitPageCount = page === last ? pageCount : 0
        encodeFrame(frame, 0, { page, commitPageCount, ...salts, pageSize }, this.checksum)
        parts.push(frame)
      }
    }
    return Buffer.concat(parts)
  }

  private walHeader(salts: { salt1: number; salt2: number }): Buffer {
    const { pageSize, bigEndianChecksum } = this.options
    const header = encodeWalHeader({ pageSize, checkpointSequence: this.index, ...salts }, this.checksum)
    if (!bigEndianChecksum) return header
    header.writeUInt32BE(0x377f0683, 0)
    this.checksum.set(0, 0)
    this.checksum.addBytes(header, 0, 24)
    header.writeUInt32BE(this.checksum.checksum1, 24)
    header.writeUInt32BE(this.checksum.checksum2, 28)
    return header
  }

  private async put(
    key: string,
    content: Buffer,
    about: Pick<Provenance, 'kind' | 'pageCount' | 'observedAtMs' | 'previous' | 'overlayBytes'>,
  ): Promise<void> {
    const cursor = { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 }
    const provenance: Provenance = {
      version: 1,
      program: 'synthetic',
      writer: 'test',
      pageSize: this.options.pageSize,
      source: { cursor },
      key,
      bytes: content.length,
      ...about,
    }
    const trailer = this.options.ours ? () => encodeProvenance(provenance) : undefined
    await this.client.put(key, encodeLz4Frame(once(content), { trailer }))
  }
}
