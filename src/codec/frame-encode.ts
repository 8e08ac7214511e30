// Writes an object: one LZ4 frame as Litestream 0.3 writes it, and our trailer behind it. What is short is compressed on the calling
// thread, a long content on a thread of its own, some blocks ahead. Memory: 2 MiB for each block of a long content that is under
// way, and no more than a few times the content for short ones.

import { setImmediate } from 'node:timers/promises'
import { SpareBuffers } from '../spare-buffers.js'
import { ChunkReader, throwIfAborted } from './chunks.js'
import { ContentHash } from './content-hash.js'
import { BLOCKS_IN_FLIGHT, END_MARK, HEADERS, LONG_BLOCK_BYTES, STORED_FLAG } from './frame-format.js'
import { InFlight } from './in-flight.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { BLOCK_CONTENT_BYTES_MAX, compressBlock, DEEP_BLOCK_BYTES, type Search } from './lz4-compress.js'
import { CompressingThread } from './lz4-thread.js'
import { encodeTrailer } from './trailer.js'

export interface EncodeFrameOptions {
  /** Asked when the source has ended: the payload of a trailer to put behind the frame (see trailer), if any. */
  readonly trailer?: (() => Uint8Array | undefined) | undefined
  /** Of long contents, 4 by default. 1 uses no thread and the least memory. */
  readonly blocksInFlight?: number | undefined
  /** Where it is known: a short content is then kept in one piece, and compressed more densely. The source gives no more. */
  readonly contentBytes?: number | undefined
  /** About how long the content is, where that is all that is known. */
  readonly contentBytesEstimate?: number | undefined
  /** Rejects with ABORTED when it fires, even while the source hangs. */
  readonly signal?: AbortSignal | undefined
}

const WHAT = 'compressing an object'
/** From here on a thread is worth its 15 MB and the time to start it. On the calling thread a block takes 2 to 4 ms, 9 with the deep search. */
const THREAD_BYTES_MIN = 128 * 1024 * 1024
/**
 * A content of known length up to here is an interval's changes, sent often and kept for long. A longer one comes of writing flat out, on
 * processors that have no time to spare.
 */
export const DENSE_BYTES_MAX = 32 * 1024 * 1024
/** Of a block of such a content, so that others have their turn often: 3 ms of work. */
const LARGE_BLOCK_BYTES = 1024 * 1024
/**
 * From here to there they are searched deeply: of segments as in the benchmarks 0.448 of the bytes are left instead of 0.468, for 5.4 ms of
 * processor time a MB instead of 3.6. What is shorter is shipped every second by whoever wants a daemon not to be felt, and is little to store.
 */
export const DEEP_BYTES_MIN = 4 * 1024 * 1024
/** A content that is longer gets a full block's room at once. */
const GROWING_BYTES_MAX = 1 << 18

/** Full blocks behind room for their length. */
const fullBlocks = new SpareBuffers(BLOCK_ROOM_BYTES + LONG_BLOCK_BYTES, 4)
const largeBlocks = new SpareBuffers(BLOCK_ROOM_BYTES + LARGE_BLOCK_BYTES, 4)
const deepBlocks = new SpareBuffers(BLOCK_ROOM_BYTES + DEEP_BLOCK_BYTES, 2)

/** How much is done for few bytes of a content that is compressed on the calling thread; its length, where it is known. */
export function searchFor(contentBytes: number | undefined): Search {
  if (contentBytes === undefined || contentBytes > DENSE_BYTES_MAX) return 'fast'
  return contentBytes < DEEP_BYTES_MIN ? 'dense' : 'deep'
}

/**
 * The object's bytes for the content that `source` gives. Copies what it is given, so the source may use its buffers again, and what it
 * gives is valid until the next piece is asked for. Errors of the source pass unchanged; the frame is whole only when the
 * iteration has ended.
 */
export async function* encodeFrame(
  source: AsyncIterable<Uint8Array>,
  options: EncodeFrameOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { signal, blocksInFlight = BLOCKS_IN_FLIGHT, contentBytes, contentBytesEstimate = contentBytes ?? 0 } = options
  const reader = new ChunkReader(source, signal, WHAT)
  try {
    const isLong = contentBytesEstimate >= THREAD_BYTES_MIN && blocksInFlight > 1
    const hash = isLong ? yield* inThread(reader, blocksInFlight, signal) : yield* here(reader, contentBytes, signal)
    yield frameEnd(hash, options.trailer?.())
  } finally {
    await reader.close()
  }
}

/** Header and blocks, block by block; gives the content's hash. */
async function* here(
  reader: ChunkReader,
  contentBytes: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, number, undefined> {
  const hash = new ContentHash()
  const isShort = contentBytes !== undefined && contentBytes <= BLOCK_CONTENT_BYTES_MAX
  const search = searchFor(contentBytes)
  const isLarge = contentBytes !== undefined && contentBytes > DENSE_BYTES_MAX
  const blocks = search === 'deep' ? deepBlocks : isLarge ? largeBlocks : fullBlocks
  let room: Buffer | undefined = isShort ? Buffer.allocUnsafe(BLOCK_ROOM_BYTES + contentBytes) : undefined
  for (let isFirst = true; ; isFirst = false) {
    const block = await readBlock(reader, blocks, room)
    const isLast = isShort || block.length < blocks.bytesEach
    if (isShort && (await reader.next(1))) throw new Error('the content is longer than it was said to be')
    if (isFirst) yield headerOf(block.length - BLOCK_ROOM_BYTES)
    if (block.length > BLOCK_ROOM_BYTES) {
      if (!isLast) await setImmediate() // a turn for others
      const content = block.subarray(BLOCK_ROOM_BYTES)
      const searchHere = isLast && search === 'fast' ? 'dense' : search
      const compressed = compressBlock(content, hash, searchHere, isLast ? undefined : blocks)
      yield asStored(block, compressed)
      throwIfAborted(signal, WHAT)
      blocks.give(wholeOf(compressed))
    }
    room = wholeOf(block)
    if (!isLast) continue
    blocks.give(room)
    return hash.digest()
  }
}

/** The same, blocks ahead of the one that is taken. */
async function* inThread(
  reader: ChunkReader,
  blocksInFlight: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, number, undefined> {
  const thread = new CompressingThread(blocksInFlight)
  const blocks = new InFlight<Buffer>(blocksInFlight)
  try {
    let isLast = false
    for (let number = 0; !(isLast && blocks.isEmpty); number++) {
      if (!isLast) {
        const slot = number % blocksInFlight
        const block = await readBlock(reader, fullBlocks, thread.content(slot))
        isLast = block.length < fullBlocks.bytesEach
        if (number === 0) yield headerOf(block.length - BLOCK_ROOM_BYTES)
        if (block.length > BLOCK_ROOM_BYTES) {
          const compressed = thread.compress(slot, block.length - BLOCK_ROOM_BYTES)
          blocks.add(compressed.then((done) => asStored(block, done)))
        }
      }
      if (blocks.isFull || (isLast && !blocks.isEmpty)) {
        yield await blocks.take()
        throwIfAborted(signal, WHAT)
      }
    }
    return thread.digest()
  } finally {
    await thread.close()
    await blocks.settle()
  }
}

/** The header of a frame whose first block has `bytes`; a block that is not full is the only one. */
function headerOf(bytes: number): Buffer {
  const { header } = HEADERS.find(({ blockBytesMax }) => bytes <= blockBytesMax) as (typeof HEADERS)[number]
  return Buffer.from(header)
}

/**
 * The source's next block behind room for its length, at the beginning of `given`; not full when the source has ended. A buffer that is
 * not given grows with the content, so that a short content does not cost a full block.
 */
async function readBlock(reader: ChunkReader, blocks: SpareBuffers, given?: Buffer): Promise<Buffer> {
  const endMax = given?.length ?? blocks.bytesEach
  let buffer = given
  let end = BLOCK_ROOM_BYTES
  while (end < endMax) {
    const bytes = await reader.next(endMax - end)
    if (bytes === undefined) break
    const needed = end + bytes.length
    if (buffer === undefined) buffer = roomFor(needed, needed, blocks)
    else if (needed > buffer.length) buffer = enlarged(buffer, end, needed, blocks)
    buffer.set(bytes, end)
    end = needed
  }
  return (buffer ?? Buffer.alloc(BLOCK_ROOM_BYTES)).subarray(0, end)
}

function roomFor(bytesMin: number, bytesWanted: number, blocks: SpareBuffers): Buffer {
  return bytesMin > GROWING_BYTES_MAX ? blocks.take() : Buffer.allocUnsafe(bytesWanted)
}

/** A larger buffer, of at least `bytesMin`, that begins with the first `keep` bytes of `buffer`. */
function enlarged(buffer: Buffer, keep: number, bytesMin: number, blocks: SpareBuffers): Buffer {
  const larger = roomFor(bytesMin, Math.max(bytesMin, Math.min(2 * buffer.length, GROWING_BYTES_MAX)), blocks)
  larger.set(buffer.subarray(0, keep))
  return larger
}

/** The buffer of its own that `piece` is the beginning of, for `fullBlocks` to tell whether it is one of its. */
const wholeOf = (piece: Buffer): Buffer => Buffer.from(piece.buffer, piece.byteOffset)

/** A block as it stands in the frame: stored as it is when compression did not make it shorter. */
function asStored(block: Buffer, compressed: Buffer): Buffer {
  const isShorter = compressed.length < block.length
  const bytes = isShorter ? compressed : block
  bytes.writeUInt32LE((bytes.length - BLOCK_ROOM_BYTES + (isShorter ? 0 : STORED_FLAG)) >>> 0, 0)
  return bytes
}

function frameEnd(contentHash: number, payload: Uint8Array | undefined): Buffer {
  const end = Buffer.alloc(8)
  end.writeUInt32LE(END_MARK, 0)
  end.writeUInt32LE(contentHash, 4)
  return payload === undefined ? end : Buffer.concat([end, encodeTrailer(payload)])
}
