// Writes an object: one LZ4 frame as Litestream 0.3 writes it, and our trailer behind it. Several blocks are
// compressed at the same time and leave in order. Memory: about 2 MiB per block in flight for long contents, and no more
// than a few times the content for short ones.

import { SpareBuffers } from '../spare-buffers.js'
import { ChunkReader, throwIfAborted } from './chunks.js'
import { BLOCKS_IN_FLIGHT, END_MARK, HEADERS, LONG_BLOCK_BYTES, STORED_FLAG } from './frame-format.js'
import { InFlight } from './in-flight.js'
import { BLOCK_ROOM_BYTES, type Compression, compressBlock } from './lz4-blocks.js'
import { DENSE_BYTES_MAX } from './lz4-dense.js'
import { encodeTrailer } from './trailer.js'
import { loadXxh32, type Xxh32 } from './xxhash.js'

export interface EncodeFrameOptions {
  /** Asked when the source has ended: the payload of a trailer to put behind the frame (see trailer), if any. */
  readonly trailer?: (() => Uint8Array | undefined) | undefined
  /** 4 by default. 1 uses no threads and the least memory. */
  readonly blocksInFlight?: number | undefined
  /** Where it is known: a short content is then kept in one piece, and compressed more densely. The source gives no more. */
  readonly contentBytes?: number | undefined
  /** Rejects with ABORTED when it fires, even while the source hangs. */
  readonly signal?: AbortSignal | undefined
}

const WHAT = 'compressing an object'
/** A full block behind room for its length. */
const FULL_BYTES = BLOCK_ROOM_BYTES + LONG_BLOCK_BYTES
/**
 * A content that is longer is worth the memory that threads cost: the library's allocator keeps some 50 MB for them (see lz4-blocks).
 * On the calling thread a block takes 1.5 ms.
 */
const BLOCKS_BEFORE_THREADS = 128
/** A content that is longer gets a full block's room at once. */
const GROWING_BYTES_MAX = 1 << 18

const fullBlocks = new SpareBuffers(FULL_BYTES, BLOCKS_IN_FLIGHT)

/** Content of a block behind room for its length, at the beginning of `buffer`. */
interface Block {
  readonly buffer: Buffer
  readonly end: number
}

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
    const short = options.contentBytes !== undefined && options.contentBytes <= DENSE_BYTES_MAX
    const room = short ? Buffer.allocUnsafe(BLOCK_ROOM_BYTES + (options.contentBytes as number)) : undefined
    let block = await readBlock(reader, contentHash, room)
    let fullCount = 0
    if (short && (await reader.next(1))) throw new Error('the content is longer than it was said to be')
    yield headerOf(block === undefined ? 0 : block.end - BLOCK_ROOM_BYTES)
    while (block !== undefined) {
      // Long contents are a matter of speed, short ones of bytes.
      const isFull = !short && block.end === FULL_BYTES
      if (isFull) fullCount++
      const large: Compression = blocksInFlight > 1 && fullCount > BLOCKS_BEFORE_THREADS ? 'in the pool' : 'here'
      blocks.add(encodeBlock(block, isFull ? large : 'densely'))
      block = isFull ? await readBlock(reader, contentHash, fullBlocks.take()) : undefined
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
 * The source's next block, hashed; undefined when the source has ended. A buffer that is not given grows with the content, so that
 * a short content does not cost a full block.
 */
async function readBlock(reader: ChunkReader, hash: Xxh32, given?: Buffer): Promise<Block | undefined> {
  const endMax = given?.length ?? FULL_BYTES
  let buffer = given
  let end = BLOCK_ROOM_BYTES
  while (end < endMax) {
    const bytes = await reader.next(endMax - end)
    if (bytes === undefined) break
    const needed = end + bytes.length
    if (buffer === undefined) buffer = roomFor(needed, needed)
    else if (needed > buffer.length) buffer = enlarged(buffer, end, needed)
    buffer.set(bytes, end)
    hash.update(bytes)
    end = needed
  }
  if (buffer === undefined || end > BLOCK_ROOM_BYTES) return buffer && { buffer, end }
  fullBlocks.give(buffer)
  return undefined
}

function roomFor(bytesMin: number, bytesWanted: number): Buffer {
  return bytesMin > GROWING_BYTES_MAX ? fullBlocks.take() : Buffer.allocUnsafe(bytesWanted)
}

/** A larger buffer, of at least `bytesMin`, that begins with the first `keep` bytes of `buffer`. */
function enlarged(buffer: Buffer, keep: number, bytesMin: number): Buffer {
  const larger = roomFor(bytesMin, Math.max(bytesMin, Math.min(2 * buffer.length, GROWING_BYTES_MAX)))
  larger.set(buffer.subarray(0, keep))
  return larger
}

/** `block` as it stands in the frame: stored as it is when compression does not make it shorter. */
async function encodeBlock({ buffer, end }: Block, how: Compression): Promise<Buffer> {
  const compressed = await compressBlock(buffer.subarray(BLOCK_ROOM_BYTES, end), how)
  if (compressed.length < end) {
    fullBlocks.give(buffer)
    compressed.writeUInt32LE(compressed.length - BLOCK_ROOM_BYTES, 0)
    return compressed
  }
  buffer.writeUInt32LE((end - BLOCK_ROOM_BYTES + STORED_FLAG) >>> 0, 0)
  return buffer.subarray(0, end)
}

function frameEnd(contentHash: number, payload: Uint8Array | undefined): Buffer {
  const end = Buffer.alloc(8)
  end.writeUInt32LE(END_MARK, 0)
  end.writeUInt32LE(contentHash, 4)
  return payload === undefined ? end : Buffer.concat([end, encodeTrailer(payload)])
}
