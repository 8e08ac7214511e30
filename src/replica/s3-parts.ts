// A body of unknown length, cut into parts of one size. Copies what it is given, so the body may reuse its buffers.

import { Buffer } from 'node:buffer'

export interface Part {
  readonly bytes: Buffer
  /** The body ended with this part. A part that is full and the last is known to be, because one byte more was asked for. */
  readonly isLast: boolean
}

const FIRST_BYTES = 64 * 1024

/** At least one part, perhaps an empty one; every part but the last has exactly `partBytes`. */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Part, void, undefined> {
  let buffer: Buffer = Buffer.allocUnsafe(Math.min(FIRST_BYTES, partBytes))
  let size = 0
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; ) {
      if (size === partBytes) {
        yield { bytes: buffer, isLast: false }
        buffer = Buffer.allocUnsafe(partBytes)
        size = 0
      }
      const piece = chunk.subarray(start, start + partBytes - size)
      buffer = grown(buffer, size, size + piece.length, partBytes)
      buffer.set(piece, size)
      size += piece.length
      start += piece.length
    }
  }
  yield { bytes: buffer.subarray(0, size), isLast: true }
}

/** `buffer` or a larger copy with room for `needed` bytes, doubling up to `limit`. */
function grown(buffer: Buffer, used: number, needed: number, limit: number): Buffer {
  if (needed <= buffer.length) return buffer
  const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(needed, buffer.length * 2)))
  buffer.copy(larger, 0, 0, used)
  return larger
}
