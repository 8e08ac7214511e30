// Reads an object: every LZ4 frame that Litestream 0.3 reads (see frame-format), except the legacy format, in which a cut cannot be
// noticed. Skippable frames may stand before it, anything but a second frame behind it; of that only our trailer is looked at.
// Stricter than the original: block checksums are verified as the standard says, and a second frame is an error instead of lost.
//
// Whatever is cut, changed, too long or not LZ4 at all is a LitestreamError CORRUPT that names the object. Content is handed
// out before the checksum behind it was seen: it counts only when the iteration has ended.
//
// Memory: two or three times the frame's maximum for a block, five times for a long content, whatever the object claims. On the calling
// thread, which takes 2 ms for 4 MiB (in the library's threads it took as long and four times the memory), and of a long content on a
// thread of its own.

import { LitestreamError, messageOf } from '../errors.js'
import { ChunkReader, throwIfAborted } from './chunks.js'
import { type Fail, readBehind, readHeader } from './frame-ends.js'
import { END_MARK, type FrameHeader, STORED_FLAG } from './frame-format.js'
import { InFlight } from './in-flight.js'
import { BLOCK_ROOM_BYTES, uncompressBlock } from './lz4-blocks.js'
import { BLOCKS_DECODING_MAX, DecodingThread } from './lz4-decode-thread.js'
import { LinkedBlocks } from './lz4-linked.js'
import { measureBlock } from './lz4-sequences.js'
import { loadXxh32, type Xxh32Factory } from './xxhash.js'

const LONG_BLOCK_BYTES_MIN = 1 << 18

export interface DecodeFrameOptions {
  /** The object's key, or whatever names it in errors. */
  readonly name: string
  /** Called with the payload of the trailer behind the frame, if there is one, before the iteration ends. */
  readonly onTrailer?: ((payload: Uint8Array) => void) | undefined
  /** More content than this is CORRUPT. */
  readonly contentBytesMax?: number | undefined
  /** Of tens of megabytes: takes a thread and memory for five of its blocks, and then none. */
  readonly isLong?: boolean | undefined
  /** Rejects with ABORTED when it fires, even while the source hangs. */
  readonly signal?: AbortSignal | undefined
}

/**
 * The content of the one LZ4 frame in `source`, in pieces; of a long one each is valid until the next but one is asked for. Errors of the source
 * pass unchanged.
 */
export async function* decodeFrame(
  source: AsyncIterable<Uint8Array>,
  options: DecodeFrameOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { name, signal, onTrailer, contentBytesMax = Infinity } = options
  const what = `reading ${name}`
  const fail: Fail = (text, cause) => {
    throw new LitestreamError(
      'CORRUPT',
      `${name} is damaged: ${text}; use another replica or another point in time`,
      cause === undefined ? undefined : { cause },
    )
  }
  const reader = new ChunkReader(source, signal, what)
  let decoder: Decoder | undefined
  try {
    const xxh32 = await loadXxh32()
    const { header, contentSize } = await readHeader(reader, xxh32, fail)
    const allowedBytes = Math.min(contentBytesMax, contentSize ?? Infinity)
    // Blocks that lean on each other are rare, and short ones are not worth it.
    const long = options.isLong && header.independent && header.blockBytesMax >= LONG_BLOCK_BYTES_MIN
    decoder = long ? longDecoder(header, fail) : blockDecoder(header, xxh32, fail)
    const { input } = decoder
    const decoding = new InFlight<Buffer>(decoder.blocksMax)
    let contentBytes = 0
    const account = (bytes: Buffer): Buffer => {
      contentBytes += bytes.length
      if (contentBytes > allowedBytes) fail(`its content is longer than the ${allowedBytes} bytes that it may have`)
      return bytes
    }

    for await (const block of readBlocks(reader, header, xxh32, fail, input)) {
      decoding.add(decoder.decode(block))
      if (!decoding.isFull) continue
      yield account(await decoding.take())
      throwIfAborted(signal, what)
    }
    while (!decoding.isEmpty) {
      yield account(await decoding.take())
      throwIfAborted(signal, what)
    }

    if (contentSize !== undefined && contentBytes !== contentSize) {
      fail(`its content is ${contentBytes} bytes long, its header says ${contentSize}`)
    }
    if (header.contentChecksum) {
      const checksum = Buffer.alloc(4)
      if ((await reader.fill(checksum)) < 4) fail('it is cut off in its content checksum')
      if (checksum.readUInt32LE(0) !== decoder.digest())
        fail('its content does not have the checksum that it should have')
    }
    const payload = await readBehind(reader, fail)
    if (payload !== undefined) onTrailer?.(payload)
  } finally {
    await decoder?.close?.()
    await reader.close()
  }
}

interface StoredBlock {
  /** The block behind BLOCK_ROOM_BYTES of room. A compressed one is valid until the next one is asked for, unless its room is the decoder's. */
  readonly bytes: Buffer
  readonly isCompressed: boolean
  readonly isLast: boolean
  /** From 1. */
  readonly number: number
}

/** One frame's blocks, in order, to their contents, and these to their hash. */
interface Decoder {
  /** How many blocks it is given before the first content has to be taken. */
  readonly blocksMax: number
  /** Where the next block has to be, if it matters: as long as the longest one with what is read behind it. */
  readonly input?: () => Buffer
  decode(block: StoredBlock): Promise<Buffer>
  /** xxh32 of all contents so far, if the frame has a checksum of its content. */
  digest(): number
  close?(): Promise<void>
}

/** The frame's blocks as stored, their checksums verified, up to and including the end mark; each in what `given` gives, where it is given. */
async function* readBlocks(
  reader: ChunkReader,
  header: FrameHeader,
  xxh32: Xxh32Factory,
  fail: Fail,
  given?: () => Buffer,
): AsyncGenerator<StoredBlock, void, undefined> {
  const first = Buffer.alloc(4)
  // Compressed blocks are read into one buffer, one after the other. Stored ones are handed out as they are, and get their own.
  let room: Buffer = Buffer.alloc(0)
  if ((await reader.fill(first)) < 4) fail('it is cut off behind its header')
  let word = first.readUInt32LE(0)
  for (let number = 1; word !== END_MARK; number++) {
    const blockBytes = word & ~STORED_FLAG
    if (blockBytes > header.blockBytesMax) {
      fail(`block ${number} claims ${blockBytes} bytes, more than the ${header.blockBytesMax} of its frame`)
    }
    // One read for the block, its checksum and the next block's length, which tells whether this one is the last.
    const end = BLOCK_ROOM_BYTES + blockBytes
    const isCompressed = word < STORED_FLAG
    const bytesNeeded = end + (header.blockChecksums ? 4 : 0) + 4
    if (given) room = given()
    else if (isCompressed && room.length < bytesNeeded) room = Buffer.allocUnsafeSlow(roomFor(bytesNeeded))
    const buffer = isCompressed || given ? room.subarray(0, bytesNeeded) : Buffer.allocUnsafe(bytesNeeded)
    if ((await reader.fill(buffer, BLOCK_ROOM_BYTES)) < buffer.length - BLOCK_ROOM_BYTES) {
      fail(`it is cut off in or behind block ${number}`)
    }
    if (header.blockChecksums && buffer.readUInt32LE(end) !== xxh32.of(buffer.subarray(BLOCK_ROOM_BYTES, end))) {
      fail(`block ${number} does not have the checksum that it should have`)
    }
    word = buffer.readUInt32LE(buffer.length - 4)
    yield { bytes: buffer.subarray(0, end), isCompressed, isLast: word === END_MARK, number }
  }
}

function longDecoder({ blockBytesMax }: FrameHeader, fail: Fail): Decoder {
  const thread = new DecodingThread(blockBytesMax)
  return {
    blocksMax: BLOCKS_DECODING_MAX,
    input: () => thread.input,
    async decode({ bytes, isCompressed, number }) {
      const content = await thread.decode(bytes.length - BLOCK_ROOM_BYTES, isCompressed)
      return content ?? fail(`block ${number} cannot be decompressed: it is malformed or too long`)
    },
    digest: () => thread.digest(),
    close: () => thread.close(),
  }
}

/** A little more than is needed, so that blocks of much the same length need one buffer. */
const roomFor = (bytes: number): number => bytes + (bytes >>> 2)

/**
 * A block does not say how long its content is. All but the last are usually full, so the maximum is taken as the size; the
 * last one is measured, and so are all when one turned out shorter: a wrong size is correct but wastes memory (see lz4-blocks).
 */
function blockDecoder(header: FrameHeader, xxh32: Xxh32Factory, fail: Fail): Decoder {
  const linked = header.independent ? undefined : new LinkedBlocks()
  const { blockBytesMax } = header
  const hash = xxh32.create()
  let expectFull = true

  const contentOf = async ({ bytes, isCompressed, isLast, number }: StoredBlock): Promise<Buffer> => {
    const stored = bytes.subarray(BLOCK_ROOM_BYTES)
    if (!isCompressed) {
      linked?.store(stored)
      return stored
    }
    try {
      if (linked !== undefined) return linked.decode(stored, blockBytesMax)
      if (isLast || !expectFull) return await uncompressBlock(bytes, measureBlock(stored, blockBytesMax))
      const content = await uncompressBlock(bytes, blockBytesMax)
      if (content.length < blockBytesMax) expectFull = false
      return content
    } catch (error) {
      if (error instanceof LitestreamError) throw error
      return fail(`block ${number} cannot be decompressed: ${messageOf(error)}`, error)
    }
  }

  return {
    blocksMax: 1,
    async decode(block) {
      const content = await contentOf(block)
      if (header.contentChecksum) hash.update(content)
      return content
    },
    digest: () => hash.digest(),
  }
}
