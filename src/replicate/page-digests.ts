// 64-bit digests of a state's pages, eight bytes each. Memory has a bound that no size of a database moves: those of the first pages
// are in memory, all others in a file without a name outside of the database's volume, of which one block is in memory. They are mostly
// read and written in the order of the pages.
//
// Whoever made one releases it: it may hold a descriptor. Anything here may throw LOCAL where the temporary directory does not work;
// what could not be written counts for nothing then, and the whole is to be released.
//
// Not a proof against forgery: xxHash tells accidents apart (two versions of a page are alike once in 2^64), not attacks.

import { loadXxh64 } from '../codec/xxhash.js'
import { ScratchFile } from '../source/scratch-file.js'

/** Of a page whose content nobody has vouched for. No page has this digest. */
export const UNKNOWN = 0n

export type PageHash = (image: Uint8Array) => bigint

export async function loadPageHash(): Promise<PageHash> {
  const xxh64 = await loadXxh64()
  return (image) => xxh64(image) || 1n
}

/** Half a gigabyte of database in pages of 4 KiB, and 1 MiB of memory. */
const MEMORY_PAGES = 1 << 17
/** 4 KiB: a page that changed somewhere costs one small read and one small write. */
const BLOCK_DIGESTS = 512
const DIGEST_BYTES = 8

export interface PageDigestsOptions {
  /** Of the file; the system's temporary directory by default. */
  readonly directory?: string | undefined
  /** So many digests are in memory; fewer in tests. */
  readonly memoryPages?: number | undefined
}

/** The digests of one state of a database, by page number from 1. */
export class PageDigests {
  private readonly memoryPages: number
  private words = new BigUint64Array(0)
  private rest: DigestsInFile | undefined
  private count = 0

  constructor(
    readonly pageSize: number,
    pageCount = 0,
    private readonly options: PageDigestsOptions = {},
  ) {
    this.memoryPages = options.memoryPages ?? MEMORY_PAGES
    this.reserve(pageCount)
    this.count = pageCount
  }

  get pageCount(): number {
    return this.count
  }

  /** Memory that is held. */
  get bytes(): number {
    return this.words.byteLength + (this.rest ? BLOCK_DIGESTS * DIGEST_BYTES : 0)
  }

  get(page: number): bigint {
    if (page > this.count) return UNKNOWN
    if (page <= this.memoryPages) return this.words[page - 1] as bigint
    return this.rest?.get(page - 1 - this.memoryPages) ?? UNKNOWN
  }

  /** Grows to the page; those in between are unknown. */
  set(page: number, digest: bigint): void {
    if (page > this.count) this.resize(page)
    if (page <= this.memoryPages) {
      this.words[page - 1] = digest
      return
    }
    this.rest ??= new DigestsInFile(this.options.directory)
    this.rest.set(page - 1 - this.memoryPages, digest)
  }

  /** The size of the database. Pages that it grows by are unknown, also those that it had before it shrank. */
  resize(pageCount: number): void {
    const { length } = this.words
    if (Math.min(pageCount, this.memoryPages) > length) {
      this.reserve(Math.max(pageCount, Math.ceil(length * 1.25), 64))
    } else if (pageCount < this.count) {
      this.words.fill(UNKNOWN, pageCount, this.count)
    }
    if (pageCount <= this.memoryPages) {
      this.rest?.clear()
      this.rest = undefined
    } else if (pageCount < this.count) {
      this.rest?.cut(pageCount - this.memoryPages)
    }
    this.count = pageCount
    if (pageCount < this.words.length / 4) this.reserve(pageCount)
  }

  /** All of them, in order, in pieces that are valid until the next is asked for. Changes meanwhile are no good. */
  *blocks(): Generator<BigUint64Array> {
    const inMemory = Math.min(this.count, this.memoryPages)
    for (let at = 0; at < inMemory; at += BLOCK_DIGESTS) {
      yield this.words.subarray(at, Math.min(at + BLOCK_DIGESTS, inMemory))
    }
    const unknown = new BigUint64Array(this.count > inMemory && !this.rest ? BLOCK_DIGESTS : 0)
    for (let at = inMemory; at < this.count; at += BLOCK_DIGESTS) {
      const block = this.rest?.blockAt(at - inMemory) ?? unknown
      yield block.subarray(0, Math.min(BLOCK_DIGESTS, this.count - at))
    }
  }

  /** Another one alike, but of so many pages. */
  copy(pageCount: number): PageDigests {
    const copy = new PageDigests(this.pageSize, this.count, this.options)
    try {
      copy.words.set(this.words.subarray(0, copy.words.length))
      if (this.rest) {
        copy.rest = new DigestsInFile(this.options.directory)
        this.rest.copyTo(copy.rest, this.count - this.memoryPages)
      }
      copy.resize(pageCount)
      return copy
    } catch (error) {
      copy.release()
      throw error
    }
  }

  /** Where nothing is known, this. */
  fillUnknown(digest: bigint): void {
    let before = 0
    for (const block of this.blocks()) {
      for (let i = block.indexOf(UNKNOWN); i >= 0; i = block.indexOf(UNKNOWN, i + 1)) this.set(before + i + 1, digest)
      before += block.length
    }
  }

  /** Gives memory and disk back; there are no pages in it any more. Idempotent. */
  release(): void {
    this.resize(0)
  }

  private reserve(pageCount: number): void {
    const words = new BigUint64Array(Math.min(pageCount, this.memoryPages))
    words.set(this.words.subarray(0, Math.min(this.count, words.length)))
    this.words = words
  }
}

/** Digests by number from 0; those that were never set are unknown. */
class DigestsInFile {
  private readonly file: ScratchFile
  private readonly block = new BigUint64Array(BLOCK_DIGESTS)
  private readonly bytes = new Uint8Array(this.block.buffer)
  /** Of the block that is in memory. */
  private number = 0
  private isChanged = false
  /** Blocks in the file; behind them there is nothing to read. */
  private blocks = 0

  constructor(directory: string | undefined) {
    this.file = new ScratchFile('page digests', directory)
  }

  get(index: number): bigint {
    return this.blockAt(index)[index % BLOCK_DIGESTS] as bigint
  }

  set(index: number, digest: bigint): void {
    this.blockAt(index)[index % BLOCK_DIGESTS] = digest
    this.isChanged = true
  }

  /** The block with this digest, valid until another one is asked for. */
  blockAt(index: number): BigUint64Array {
    const number = Math.floor(index / BLOCK_DIGESTS)
    if (number !== this.number) {
      this.keep()
      // Should this fail, nothing is in the block that is anywhere.
      this.number = -1
      if (number < this.blocks) this.file.read(this.bytes, number * this.bytes.length)
      else this.block.fill(UNKNOWN)
      this.number = number
    }
    return this.block
  }

  /** The first `count`, to one in which nothing is known. */
  copyTo(other: DigestsInFile, count: number): void {
    for (let index = 0; index < count; index += BLOCK_DIGESTS) {
      const block = this.blockAt(index)
      other.blockAt(index).set(block)
      other.isChanged = true
    }
  }

  /** Only the first `count` are known from now on; at least one. */
  cut(count: number): void {
    const last = this.blockAt(count - 1)
    last.fill(UNKNOWN, ((count - 1) % BLOCK_DIGESTS) + 1)
    this.isChanged = true
    this.blocks = Math.min(this.blocks, this.number)
    this.file.cut(this.blocks * this.bytes.length)
  }

  clear(): void {
    this.file.clear()
  }

  private keep(): void {
    if (!this.isChanged) return
    this.file.write(this.bytes, this.number * this.bytes.length)
    this.blocks = Math.max(this.blocks, this.number + 1)
    this.isChanged = false
  }
}
