// A body of unknown length, cut into parts of one size. Copies what it is given, so the body may reuse its buffers.

import { Buffer } from 'node:buffer'
import { SpareBuffers } from '../spare-buffers.js'

export interface Part {
  readonly bytes: Buffer
  /** The body ended with this part. A part that is full and the last is known to be, because one byte more was asked for. */
  readonly isLast: boolean
}

const FIRST_BYTES = 8 * 1024
/** A body that is longer gets a whole part's room at once. */
const GROWING_BYTES_MAX = 1 << 20

const SPARE_PARTS_MAX = 4
let spareParts = new SpareBuffers(0, 0)

/** The part was sent: its buffer may be used for another one. */
export function reusePart(part: Part): void {
  spareParts.give(Buffer.from(part.bytes.buffer))
}

function partBuffer(partBytes: number): Buffer {
  // One size for a whole process, except in tests.
  if (spareParts.bytesEach !== partBytes) spareParts = new SpareBuffers(partBytes, SPARE_PARTS_MAX)
  return spareParts.take()
}

/** At least one part, perhaps an empty one; every part but the last has exactly `partBytes`. */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Part, void, undefined> {
  let buffer: Buffer = Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, partBytes))
  let size = 0
  for await (const chunk of body) {
    for (let start = 0; start < chunk.length; ) {
      if (size === partBytes) {
        yield { bytes: buffer, isLast: false }
        buffer = partBuffer(partBytes)
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
  const wanted = Math.min(limit, Math.max(needed, buffer.length * 2))
  const larger = wanted > Math.min(GROWING_BYTES_MAX, limit / 2) ? partBuffer(limit) : Buffer.allocUnsafeSlow(wanted)
  buffer.copy(larger, 0, 0, used)
  return larger
}
