// The bytes of a write-ahead log. Source: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
//
//   WAL header (32 bytes, big-endian)            frame header (24 bytes, big-endian), followed by one page
//    0  magic 0x377f0682 | checksum byte order    0  page number
//    4  format version 3007000                    4  database size in pages after a commit, 0 in other frames
//    8  page size                                 8  salt-1 of the WAL header
//   12  checkpoint sequence number               12  salt-2 of the WAL header
//   16  salt-1                                   16  checksum-1
//   20  salt-2                                   20  checksum-2
//   24  checksum-1 of bytes 0-23
//   28  checksum-2
//
// The checksum is cumulative: the header's seeds the first frame, and each frame adds its first 8 header bytes and its page. It
// takes the words in little-endian order when the magic's last bit is 0 and in big-endian order when it is 1.

import { isPageSize } from './database-header.js'

export const WAL_HEADER_BYTES = 32
export const FRAME_HEADER_BYTES = 24
export const WAL_FORMAT_VERSION = 3007000
const WAL_MAGIC = 0x377f0682

export interface WalHeader {
  readonly bigEndianChecksum: boolean
  readonly pageSize: number
  readonly checkpointSequence: number
  readonly salt1: number
  readonly salt2: number
  /** Of the header itself; the seed of the first frame's. Unsigned 32-bit words. */
  readonly checksum1: number
  readonly checksum2: number
}

/** Byte offset of frame `frame` (the first one is 0) in a WAL with this page size. */
export function frameOffset(frame: number, pageSize: number): number {
  return WAL_HEADER_BYTES + frame * (FRAME_HEADER_BYTES + pageSize)
}

/** SQLite's cumulative WAL checksum. Holds two signed 32-bit words; read them through the unsigned getters. */
export class WalChecksum {
  private s1: number
  private s2: number
  private view: Int32Array | undefined

  constructor(
    readonly bigEndian: boolean,
    checksum1 = 0,
    checksum2 = 0,
  ) {
    this.s1 = checksum1 | 0
    this.s2 = checksum2 | 0
  }

  get checksum1(): number {
    return this.s1 >>> 0
  }

  get checksum2(): number {
    return this.s2 >>> 0
  }

  set(checksum1: number, checksum2: number): void {
    this.s1 = checksum1 | 0
    this.s2 = checksum2 | 0
  }

  /**
   * Add `words[from..to)`, an even number of 32-bit words in the machine's (little-endian) order. Takes words and not bytes
   * because this is the hot loop of the program: a view over an aligned buffer runs at memory speed, with one loop a function and
   * every intermediate sum cut to 32 bits (both were measured: four times as fast as without).
   */
  addWords(words: Int32Array, from: number, to: number): void {
    if (this.bigEndian) this.addSwapped(words, from, to)
    else this.addNative(words, from, to)
  }

  private addNative(words: Int32Array, from: number, to: number): void {
    let s1 = this.s1 | 0
    let s2 = this.s2 | 0
    for (let i = from; i < to; i += 2) {
      s1 = (((s1 + (words[i] as number)) | 0) + s2) | 0
      s2 = (((s2 + (words[i + 1] as number)) | 0) + s1) | 0
    }
    this.s1 = s1
    this.s2 = s2
  }

  private addSwapped(words: Int32Array, from: number, to: number): void {
    let s1 = this.s1 | 0
    let s2 = this.s2 | 0
    for (let i = from; i < to; i += 2) {
      s1 = (((s1 + swap32(words[i] as number)) | 0) + s2) | 0
      s2 = (((s2 + swap32(words[i + 1] as number)) | 0) + s1) | 0
    }
    this.s1 = s1
    this.s2 = s2
  }

  /** Add `bytes[from..to)`, a multiple of 8 bytes, at any alignment. */
  addBytes(bytes: Uint8Array, from: number, to: number): void {
    const start = bytes.byteOffset + from
    if (start % 4 === 0) {
      this.addWords(this.wordsOf(bytes.buffer), start >> 2, (start + to - from) >> 2)
    } else {
      // Not bytes.slice(): a Buffer's is a view, at the same alignment.
      const copy = new Uint8Array(bytes.subarray(from, to))
      this.addWords(new Int32Array(copy.buffer), 0, copy.byteLength >> 2)
    }
  }

  /** A view over the whole buffer, kept for the next call: to make one costs as much as to add a page. */
  private wordsOf(buffer: ArrayBufferLike): Int32Array {
    if (this.view?.buffer !== buffer) this.view = new Int32Array(buffer, 0, buffer.byteLength >> 2)
    return this.view
  }
}

const swap32 = (word: number): number =>
  ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)

/** Undefined when the bytes are not a whole, valid WAL header. */
export function parseWalHeader(bytes: Uint8Array): WalHeader | undefined {
  if (bytes.length < WAL_HEADER_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const magic = view.getUint32(0)
  if ((magic & 0xfffffffe) >>> 0 !== WAL_MAGIC || view.getUint32(4) !== WAL_FORMAT_VERSION) return undefined
  const pageSize = view.getUint32(8)
  if (!isPageSize(pageSize)) return undefined
  const checksum = new WalChecksum((magic & 1) === 1)
  checksum.addBytes(bytes, 0, 24)
  if (checksum.checksum1 !== view.getUint32(24) || checksum.checksum2 !== view.getUint32(28)) return undefined
  return {
    bigEndianChecksum: (magic & 1) === 1,
    pageSize,
    checkpointSequence: view.getUint32(12),
    salt1: view.getUint32(16),
    salt2: view.getUint32(20),
    checksum1: checksum.checksum1,
    checksum2: checksum.checksum2,
  }
}

/** A WAL header of our own, little-endian checksums. `checksum` is left at the header's value: the seed of the first frame. */
export function encodeWalHeader(
  header: { pageSize: number; checkpointSequence: number; salt1: number; salt2: number },
  checksum: WalChecksum,
): Buffer {
  const bytes = Buffer.alloc(WAL_HEADER_BYTES)
  bytes.writeUInt32BE(WAL_MAGIC, 0)
  bytes.writeUInt32BE(WAL_FORMAT_VERSION, 4)
  bytes.writeUInt32BE(header.pageSize, 8)
  bytes.writeUInt32BE(header.checkpointSequence, 12)
  bytes.writeUInt32BE(header.salt1, 16)
  bytes.writeUInt32BE(header.salt2, 20)
  checksum.set(0, 0)
  checksum.addBytes(bytes, 0, 24)
  bytes.writeUInt32BE(checksum.checksum1, 24)
  bytes.writeUInt32BE(checksum.checksum2, 28)
  return bytes
}

/**
 * Complete the frame in `bytes[at..]`, whose page is already in place behind the 24 header bytes: writes the header and
 * continues `checksum` over it. `commitPageCount` is the database's size for a commit frame and 0 for any other.
 */
export function encodeFrame(
  bytes: Buffer,
  at: number,
  frame: { page: number; commitPageCount: number; salt1: number; salt2: number; pageSize: number },
  checksum: WalChecksum,
): void {
  bytes.writeUInt32BE(frame.page, at)
  bytes.writeUInt32BE(frame.commitPageCount, at + 4)
  bytes.writeUInt32BE(frame.salt1, at + 8)
  bytes.writeUInt32BE(frame.salt2, at + 12)
  checksum.addBytes(bytes, at, at + 8)
  checksum.addBytes(bytes, at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + frame.pageSize)
  bytes.writeUInt32BE(checksum.checksum1, at + 16)
  bytes.writeUInt32BE(checksum.checksum2, at + 20)
}
