// Writes an object: one LZ4 frame as Litestream 0.3 writes it, and our trailer behind it. Several blocks are
// compressed at the same time and leave in order. Memory: about 8 MiB per block in flight for long contents, and no more
// than a few times the content for short ones.

import { ChunkReader, throwIfAborted } from './chunks.js'
import { BLOCK_BYTES_MAX, BLOCKS_IN_FLIGHT, END_MARK, HEADERS, STORED_FLAG } from './frame-format.js'
import { InFlight } from './in-flight.js'
import { BLOCK_ROOM_BYTES, compressBlock } from './lz4-blocks.js'
import { encodeTrailer } from './trailer.js'
import { loadXxh32, type Xxh32 } from './xxhash.js'

export interface EncodeFrameOptions {
  /** Asked when the source has ended: the payload of a trailer to put behind the frame (see trailer), if any. */
  readonly trailer?: (() => Uint8Array | undefined) | undefined
  /** 4 by default. 1 uses no threads and the least memory. */
  readonly blocksInFlight?: number | undefined
  /** Rejects with ABORTED when it fires, even while the source hangs. */
  readonly signal?: AbortSignal | undefined
}

const WHAT = 'compressing an object'
/** A full block behind room for its length. */
const FULL_BYTES = BLOCK_ROOM_BYTES + BLOCK_BYTES_MAX

/**
 * The object's bytes for the content that `source` gives. Copies what it is given, so the source may use its buffers again.
 * Errors of the source pass unchanged; the frame is whole only when the iteration has ended.
 */
export async function* encodeFrame(
  source: AsyncIterable<Uint8Array>,
  options: EncodeFrameOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { signal, trailer, blocksInFlight = BLOCKS_IN_FLIGHT } = options
  const blocks = new InFlight<Buffer>(blocksInFlight)
  const reader = new ChunkReader(source, signal, WHAT)
  try {
    const contentHash = (await loadXxh32()).create()
    let block = await readBlock(reader, contentHash, 0)
    yield headerOf(block === undefined ? 0 : block.length - BLOCK_ROOM_BYTES)
    while (block !== undefined) {
      const isFull = block.length === FULL_BYTES
      blocks.add(encodeBlock(block, blocksInFlight === 1))
      block = isFull ? await readBlock(reader, contentHash, FULL_BYTES) : undefined
      if (blocks.isFull) {
        yield await blocks.take()
        throwIfAborted(signal, WHAT)
      }
    }
    while (!blocks.isEmpty) {
      yield await blocks.take()
      throwIfAborted(signal, WHAT)
    }
    yield frameEnd(contentHash.digest(), trailer?.())
  } finally {
    await reader.close()
    await blocks.settle()
  }
}

/** The header of a frame whose first block has `bytes`; a block that is not full is the only one. */
function headerOf(bytes: number): Buffer {
  const { header } = HEADERS.find(({ blockBytesMax }) => bytes <= blockBytesMax) as (typeof HEADERS)[number]
  return Buffer.from(header)
}

/**
 * The source's next block behind room for its length, hashed; undefined when the source has ended. The buffer begins with
 * `bytesAtFirst` and grows with the content, so that a short content does not cost a full block.
 */
async function readBlock(reader: ChunkReader, hash: Xxh32, bytesAtFirst: number): Promise<Buffer | undefined> {
  let buffer: Buffer | undefined
  let end = BLOCK_ROOM_BYTES
  while (end < FULL_BYTES) {
    const bytes = await reader.next(FULL_BYTES - end)
    if (bytes === undefined) break
    if (buffer === undefined) buffer = Buffer.allocUnsafe(Math.max(bytesAtFirst, end + bytes.length))
    else if (end + bytes.length > buffer.length) buffer = enlarged(buffer, end, end + bytes.length)
    buffer.set(bytes, end)
    hash.update(bytes)
    end += bytes.length
  }
  return buffer?.subarray(0, end)
}

/** A larger buffer, of at least `bytesMin`, that begins with the first `keep` bytes of `buffer`. */
function enlarged(buffer: Buffer, keep: number, bytesMin: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.min(Math.max(bytesMin, 2 * buffer.length), FULL_BYTES))
  larger.set(buffer.subarray(0, keep))
  return larger
}

/** `block`, which has room in front, as it stands in the frame: stored as it is when compression does not make it shorter. */
async function encodeBlock(block: Buffer, here: boolean): Promise<Buffer> {
  const compressed = await compressBlock(block.subarray(BLOCK_ROOM_BYTES), here)
  if (compressed.length < block.length) {
    compressed.writeUInt32LE(compressed.length - BLOCK_ROOM_BYTES, 0)
    return compressed
  }
  block.writeUInt32LE((block.length - BLOCK_ROOM_BYTES + STORED_FLAG) >>> 0, 0)
  return block
}

function frameEnd(contentHash: number, payload: Uint8Array | undefined): Buffer {
  const end = Buffer.alloc(8)
  end.writeUInt32LE(END_MARK, 0)
  end.writeUInt32LE(contentHash, 4)
  return payload === undefined ? end : Buffer.concat([end, encodeTrailer(payload)])
}
