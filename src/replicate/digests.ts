// 64-bit digests of pages, eight bytes each: what a replica's newest position holds, so that after lost continuity the source can be
// compared with it without reading the replica. They change only when an upload was acknowledged, so that at any moment they
// describe exactly the newest object; a page of which that cannot be said counts as unknown and as different from anything.
//
// Not a proof against forgery: xxHash tells accidents apart (two versions of a page are alike once in 2^64), not attacks.

import { loadXxh64 } from '../codec/xxhash.js'
import type { SourceState } from './sink.js'

/** Of a page whose content nobody has vouched for. No page has this digest. */
export const UNKNOWN = 0n

export type PageHash = (image: Uint8Array) => bigint

export async function loadPageHash(): Promise<PageHash> {
  const xxh64 = await loadXxh64()
  return (image) => xxh64(image) || 1n
}

/** The digests of one state of a database, by page number from 1. */
export class PageDigests {
  private words: BigUint64Array
  private count: number

  constructor(
    readonly pageSize: number,
    pageCount = 0,
  ) {
    this.words = new BigUint64Array(pageCount)
    this.count = pageCount
  }

  get pageCount(): number {
    return this.count
  }

  /** Memory that is held. */
  get bytes(): number {
    return this.words.byteLength
  }

  get(page: number): bigint {
    return page <= this.count ? (this.words[page - 1] as bigint) : UNKNOWN
  }

  /** Grows to the page; those in between are unknown. */
  set(page: number, digest: bigint): void {
    if (page > this.count) this.resize(page)
    this.words[page - 1] = digest
  }

  /** The size of the database. Pages that it grows by are unknown, also those that it had before it shrank. */
  resize(pageCount: number): void {
    if (pageCount > this.words.length) this.reserve(Math.max(pageCount, Math.ceil(this.words.length * 1.25), 64))
    else if (pageCount < this.count) this.words.fill(UNKNOWN, pageCount, this.count)
    this.count = pageCount
    if (pageCount < this.words.length / 4) this.reserve(pageCount)
  }

  /** Of every page, in order; valid until the next change. */
  values(): BigUint64Array {
    return this.words.subarray(0, this.count)
  }

  private reserve(pageCount: number): void {
    const words = new BigUint64Array(pageCount)
    words.set(this.words.subarray(0, Math.min(this.count, pageCount)))
    this.words = words
  }
}

/** The object that digests describe: the newest one of the replica, by its key and by the state that its provenance tells. */
export interface Described {
  readonly generation: string
  readonly key: string
  readonly source: SourceState['source']
}

/** A segment that is being uploaded. */
export interface StagedSegment {
  put(page: number, image: Uint8Array): void
  /** It is in the replica, and leaves a database of so many pages. */
  acknowledged(described: Described, pageCount: number): void
}

/** What one replica holds. Empty until a snapshot went through it, or digests that were kept were taken over. */
export class ReplicaDigests {
  private pages: PageDigests | undefined
  private at: Described | undefined
  private hash: PageHash | undefined

  /** Undefined while nothing is known for certain. */
  get known(): { readonly pages: PageDigests; readonly at: Described } | undefined {
    return this.pages && this.at ? { pages: this.pages, at: this.at } : undefined
  }

  /** Nothing is known any more; a snapshot that is under way counts for nothing. */
  forget(): void {
    this.pages = undefined
    this.at = undefined
  }

  /** Digests that somebody kept, after it was made sure that they describe the newest object. */
  async adopt(pages: PageDigests, at: Described): Promise<void> {
    this.hash ??= await loadPageHash()
    this.pages = pages
    this.at = at
  }

  /** Pass the pages of a new generation's snapshot on. `pageSizeOf` is asked when the first of them came. */
  async *ofSnapshot(pieces: AsyncIterable<Buffer>, pageSizeOf: () => number): AsyncGenerator<Buffer> {
    const hash = await loadPageHash()
    this.hash = hash
    this.forget()
    let page = 0
    for await (const piece of pieces) {
      const pageSize = pageSizeOf()
      this.pages ??= new PageDigests(pageSize)
      for (let at = 0; at < piece.length; at += pageSize)
        this.pages.set(++page, hash(piece.subarray(at, at + pageSize)))
      yield piece
    }
  }

  /** A snapshot is in the replica; `at` is the newest object now. */
  snapshotAcknowledged(at: Described, pageCount: number): void {
    if (!this.pages) return
    this.pages.resize(pageCount)
    this.at = at
  }

  /** A newer object stands for the same state. */
  closedBy(key: string): void {
    if (this.at) this.at = { ...this.at, key }
  }

  /** For the pages of a segment as they are encoded; undefined where nothing is known that they could be added to. */
  stage(pageCountMax: number): StagedSegment | undefined {
    const { pages, hash } = this
    if (!pages || !hash) return undefined
    const numbers = new Uint32Array(pageCountMax)
    const digests = new BigUint64Array(pageCountMax)
    let count = 0
    return {
      put(page, image) {
        numbers[count] = page
        digests[count++] = hash(image)
      },
      acknowledged: (described, pageCount) => {
        if (this.pages !== pages) return
        pages.resize(pageCount)
        for (let i = 0; i < count; i++) pages.set(numbers[i] as number, digests[i] as bigint)
        if (this.at) this.at = described
      },
    }
  }
}
