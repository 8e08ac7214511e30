// Checks the segments of one index and hands their pages on. What must hold, or the restore ends with CORRUPT and the object's
// name: each segment begins where the one before it ended (the real Litestream, while it stops, may write one again, longer, and leave
// what followed: then it begins within the one before it, and holds the same); offset 0 begins with a WAL header; every frame carries
// the header's salts and continues the cumulative checksum. A segment without content closes an index at its offset and is valid anywhere.
// Segments of ours end at a commit; one of the real Litestream may end within a transaction that the next one continues, so
// what lies behind the last commit is the caller's to judge (`committedOffset`), as soon as it knows that nothing follows.
//
// What cannot be seen here: that the last segments of an index are missing. Provenance tells (`previous`, on the first segment
// of the next index); replicas without it do not say, and there only the pages themselves can (integrity check).

import { LitestreamError } from '../errors.js'
import { segmentKey } from '../model/layout.js'
import type { StoredSegment } from '../model/timeline.js'
import { FRAME_HEADER_BYTES, parseWalHeader, WAL_HEADER_BYTES, type WalHeader } from '../sqlite/wal-format.js'
import { WalScanner } from '../sqlite/wal-scan.js'

/** Where checked pages go. */
export interface PageSink {
  /** `bytes` is the sink's only during the call. */
  put(page: number, bytes: Uint8Array): void
  /** Called between pieces of at most PIECE_BYTES_MAX: the time to write. */
  makeRoom(): Promise<void> | undefined
}

/** At least one frame of the largest page size fits, with the header before it. */
export const PIECE_BYTES_MAX = 1024 * 1024

/** Bytes that wait for the rest of their frame. One is enough for a restore; every chain uses it in turn. */
export class FrameBuffer {
  readonly bytes = Buffer.from(new ArrayBuffer(PIECE_BYTES_MAX))
  used = 0

  /** Append as much of `chunk` from `from` as fits; returns how much that was. */
  fill(chunk: Uint8Array, from: number): number {
    const count = Math.min(chunk.length - from, this.bytes.length - this.used)
    this.bytes.set(chunk.subarray(from, from + count), this.used)
    this.used += count
    return count
  }

  /** Drop the first `count` bytes. What follows moves to the beginning, where it is aligned for the scanner. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.used)
    this.used -= count
  }
}

export class IndexChain {
  private scanner: WalScanner | undefined
  private sink: PageSink | undefined
  header: WalHeader | undefined
  /** Uncompressed bytes so far: where the next segment begins. */
  endOffset = 0
  /** Behind the last commit that was handed on. */
  committedOffset = 0
  /** Size of the database in pages after the newest commit; undefined before the first. */
  pageCount: number | undefined

  constructor(
    readonly generation: string,
    readonly index: number,
    private readonly buffer: FrameBuffer,
    /** Called with the WAL header: where the pages of this index go. */
    private readonly openSink: (header: WalHeader, segment: StoredSegment) => PageSink,
    /** Frames from this offset on are checked, but not handed on. */
    private readonly limitOffset = Number.POSITIVE_INFINITY,
  ) {}

  /** Check the next segment of the index and hand its pages on. */
  async apply(segment: StoredSegment, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (segment.offset > this.endOffset) throw this.hole(segment)
    const { buffer } = this
    buffer.used = 0
    for await (const chunk of segment.offset < this.endOffset ? this.behind(segment, content) : content) {
      for (let from = 0; from < chunk.length; ) {
        from += buffer.fill(chunk, from)
        if (this.endOffset === 0 && !this.takeHeader(segment)) continue
        this.takeFrames(segment)
        await this.sink?.makeRoom()
      }
    }
    if (buffer.used > 0) {
      const what = this.endOffset === 0 ? 'its WAL header' : `a frame at offset ${this.endOffset}`
      throw damaged(segment, `it ends in the middle of ${what}`)
    }
  }

  /**
   * What follows the bytes that the segment before holds as well. The last frame among them says by its checksum, which is that of all
   * frames so far, that they are the same. CORRUPT where it says something else, or is not there.
   */
  private async *behind(segment: StoredSegment, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { scanner, endOffset } = this
    const frameBytes = FRAME_HEADER_BYTES + (scanner?.pageSize ?? 0)
    if (!scanner || (segment.offset - WAL_HEADER_BYTES) % frameBytes !== 0) throw this.hole(segment)
    const overlapBytes = endOffset - segment.offset
    const lastAt = overlapBytes - frameBytes
    const last = Buffer.alloc(FRAME_HEADER_BYTES)
    let at = 0
    for await (const chunk of content) {
      const from = Math.max(0, lastAt - at)
      const to = Math.min(chunk.length, lastAt + FRAME_HEADER_BYTES - at)
      if (from < to) last.set(chunk.subarray(from, to), at + from - lastAt)
      const known = Math.min(chunk.length, Math.max(0, overlapBytes - at))
      at += chunk.length
      if (at < overlapBytes) continue
      if (last.readUInt32BE(16) !== scanner.checksum1 || last.readUInt32BE(20) !== scanner.checksum2) {
        if (known > 0) throw this.hole(segment)
      }
      if (known < chunk.length) yield chunk.subarray(known)
    }
    if (at < overlapBytes) throw this.hole(segment)
  }

  private takeHeader(segment: StoredSegment): boolean {
    if (this.buffer.used < WAL_HEADER_BYTES) return false
    const header = parseWalHeader(this.buffer.bytes)
    if (!header) throw damaged(segment, 'it does not begin with a valid WAL header')
    this.header = header
    this.sink = this.openSink(header, segment)
    this.scanner = new WalScanner(header.pageSize, header.bigEndianChecksum, header.salt1, header.salt2, {
      frames: 0,
      checksum1: header.checksum1,
      checksum2: header.checksum2,
    })
    this.buffer.drop(WAL_HEADER_BYTES)
    this.endOffset = WAL_HEADER_BYTES
    this.committedOffset = WAL_HEADER_BYTES
    return true
  }

  private takeFrames(segment: StoredSegment): void {
    const { buffer, scanner, sink } = this
    if (!scanner || !sink) throw damaged(segment, 'it begins behind an index that has no content')
    const frameBytes = FRAME_HEADER_BYTES + scanner.pageSize
    const count = Math.floor(buffer.used / frameBytes)
    if (count === 0) return
    const { frames, pages, commits, stop } = scanner.scan(buffer.bytes, count)
    if (frames < count) {
      const why =
        stop === 'salts'
          ? 'is of another WAL'
          : stop === 'checksum'
            ? 'does not continue the checksum of the frames before it'
            : 'has no page number'
      throw damaged(segment, `the frame at offset ${this.endOffset + frames * frameBytes} ${why}`)
    }
    for (let frame = 0; frame < count; frame++) {
      const at = frame * frameBytes + FRAME_HEADER_BYTES
      if (this.endOffset < this.limitOffset)
        sink.put(pages[frame] as number, buffer.bytes.subarray(at, at + scanner.pageSize))
      this.endOffset += frameBytes
      if (commits[frame] === 0 || this.endOffset > this.limitOffset) continue
      this.committedOffset = this.endOffset
      this.pageCount = commits[frame] as number
    }
    buffer.drop(count * frameBytes)
  }

  private hole(segment: StoredSegment): LitestreamError {
    if (segment.offset < this.endOffset) {
      const text = `it begins at offset ${segment.offset}, but the segment before it reaches to ${this.endOffset}`
      return damaged(segment, text)
    }
    const missing = segmentKey(this.generation, this.index, this.endOffset)
    const text = `${missing} is missing: the next segment of its index is ${segment.key}`
    return new LitestreamError('CORRUPT', `${text}; use another replica or another point in time`)
  }
}

/** CORRUPT, naming the object. */
export function damaged(object: { readonly key: string }, text: string): LitestreamError {
  return new LitestreamError(
    'CORRUPT',
    `${object.key} is damaged: ${text}; use another replica or another point in time`,
  )
}
