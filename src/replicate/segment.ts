// A changeset as a segment: a valid run of WAL frames of our own. Pages ascend, the last frame carries the commit mark, so a
// segment is one commit to whoever replays it. The segments of one index share salts and continue one checksum chain, and
// concatenated they are a WAL that SQLite recovers; the one at offset 0 begins with the WAL header.

import type { Changeset } from '../source/changeset.js'
import {
  encodeFrame,
  encodeWalHeader,
  FRAME_HEADER_BYTES,
  WAL_HEADER_BYTES,
  WalChecksum,
} from '../sqlite/wal-format.js'

/** Where the WAL of one index ends, and what the next frame continues. Replaced as a whole when a segment was acknowledged. */
export interface IndexEnd {
  readonly index: number
  readonly offset: number
  readonly segments: number
  readonly salt1: number
  readonly salt2: number
  readonly checksum1: number
  readonly checksum2: number
}

/** Some tenths of a millisecond of work. */
const PIECE_BYTES = 256 << 10

/** An index with nothing in it. The salts are any 32-bit numbers. */
export function openIndex(index: number, salt1: number, salt2: number): IndexEnd {
  return { index, offset: 0, segments: 0, salt1, salt2, checksum1: 0, checksum2: 0 }
}

export interface Segment {
  /** Uncompressed. */
  readonly bytes: number
  /** Each piece is valid until the next one is asked for. */
  readonly frames: AsyncIterable<Buffer>
  /** The index's end behind this segment; only after `frames` was consumed. */
  end(): IndexEnd
}

/**
 * The changeset must not change until the segment has been consumed. It holds at least one page up to `pageCount`. `onPage` sees every
 * page as it is encoded.
 */
export function encodeSegment(
  changeset: Changeset,
  pageCount: number,
  start: IndexEnd,
  onPage: (page: number, image: Uint8Array) => void = () => {},
): Segment {
  const { pageSize } = changeset
  const pages = changeset.pages(pageCount)
  const headerBytes = start.offset === 0 ? WAL_HEADER_BYTES : 0
  const frameBytes = FRAME_HEADER_BYTES + pageSize
  const bytes = headerBytes + pages.length * frameBytes
  const checksum = new WalChecksum(false, start.checksum1, start.checksum2)
  const { salt1, salt2 } = start
  let encoded = false

  async function* frames(): AsyncGenerator<Buffer> {
    if (headerBytes > 0) {
      yield encodeWalHeader({ pageSize, checkpointSequence: start.index, salt1, salt2 }, checksum)
    }
    const perPiece = Math.min(pages.length, Math.max(1, Math.floor(PIECE_BYTES / frameBytes)))
    const buffer = Buffer.allocUnsafe(perPiece * frameBytes)
    for (let first = 0; first < pages.length; first += perPiece) {
      const count = Math.min(perPiece, pages.length - first)
      const piece = buffer.subarray(0, count * frameBytes)
      for (let i = 0; i < count; i++) {
        const at = i * frameBytes
        const page = pages[first + i] as number
        const image = piece.subarray(at + FRAME_HEADER_BYTES, at + frameBytes)
        changeset.read(page, image)
        onPage(page, image)
        const commitPageCount = first + i === pages.length - 1 ? pageCount : 0
        encodeFrame(piece, at, { page, commitPageCount, salt1, salt2, pageSize }, checksum)
      }
      yield piece
    }
    encoded = true
  }

  const end = (): IndexEnd => {
    if (!encoded) throw new Error('the end of a segment is known only when all of it was encoded')
    const { checksum1, checksum2 } = checksum
    return { ...start, offset: start.offset + bytes, segments: start.segments + 1, checksum1, checksum2 }
  }
  return { bytes, frames: frames(), end }
}
