// What stands before and behind the blocks of an LZ4 frame: its header, the skippable frames before it, and whatever is
// behind it. See frame-format for the bytes, frame-decode for the rules.

import type { ChunkReader } from './chunks.js'
import {
  FRAME_MAGIC,
  type FrameHeader,
  headerRestBytes,
  isSkippableMagic,
  LEGACY_MAGIC,
  parseFlags,
} from './frame-format.js'
import { findTrailer, TRAILER_TAIL_BYTES } from './trailer.js'
import type { Xxh32Factory } from './xxhash.js'

/** Raises CORRUPT; `text` is a sentence about the object, without its name. */
export type Fail = (text: string, cause?: unknown) => never

export interface FrameStart {
  readonly header: FrameHeader
  /** Length of the content, when the header says it. */
  readonly contentSize: number | undefined
}

/** Read up to the first block, past skippable frames. */
export async function readHeader(reader: ChunkReader, xxh32: Xxh32Factory, fail: Fail): Promise<FrameStart> {
  await skipToFrame(reader, fail)
  const flags = Buffer.alloc(2)
  if ((await reader.fill(flags)) < 2) fail('it is cut off in its header')
  const flg = flags.readUInt8(0)
  const rest = Buffer.alloc(headerRestBytes(flg))
  if ((await reader.fill(rest)) < rest.length) fail('it is cut off in its header')
  const header = parseFlags(flg, flags.readUInt8(1))
  if (typeof header === 'string') return fail(`it ${header}`)
  const described = Buffer.concat([flags, rest.subarray(0, -1)])
  if (rest.at(-1) !== ((xxh32.of(described) >>> 8) & 0xff)) {
    fail('its header does not have the checksum that it should have')
  }
  if (!header.hasContentSize) return { header, contentSize: undefined }
  const contentSize = Number(rest.readBigUInt64LE(0))
  if (!Number.isSafeInteger(contentSize)) fail(`its header says that its content is ${contentSize} bytes long`)
  return { header, contentSize }
}

async function skipToFrame(reader: ChunkReader, fail: Fail): Promise<void> {
  const word = Buffer.alloc(4)
  for (let isFirst = true; ; isFirst = false) {
    const wordBytes = await reader.fill(word)
    if (wordBytes === 0) fail(isFirst ? 'it is empty' : 'it has no LZ4 frame')
    if (wordBytes < 4) fail('it is cut off in its first bytes')
    const magic = word.readUInt32LE(0)
    if (magic === FRAME_MAGIC) return
    if (magic === LEGACY_MAGIC) {
      fail('it is in the legacy LZ4 format, which cannot show a cut (to convert it: lz4 -d, then lz4)')
    }
    if (!isSkippableMagic(magic)) fail(`it is not an LZ4 frame, it begins with ${word.toString('hex')}`)
    if ((await reader.fill(word)) < 4) fail('it is cut off in a skippable frame')
    let skip = word.readUInt32LE(0)
    while (skip > 0) {
      const skipped = await reader.next(skip)
      if (skipped === undefined) return fail('it is cut off in a skippable frame')
      skip -= skipped.length
    }
  }
}

/** Read to the end and give the payload of our trailer, if there is one. Only another frame of data is an error. */
export async function readBehind(reader: ChunkReader, fail: Fail): Promise<Uint8Array | undefined> {
  let tail: Buffer = Buffer.alloc(0)
  const keep = (bytes: Uint8Array): void => {
    tail = Buffer.concat([tail, bytes]).subarray(-TRAILER_TAIL_BYTES)
  }
  const head = Buffer.alloc(8)
  /** Bytes until the next frame can begin; endless once something stood there that is no frame. */
  let pass = 0
  for (;;) {
    while (pass > 0) {
      const bytes = await reader.next(pass)
      if (bytes === undefined) return findTrailer(tail)
      keep(bytes)
      pass -= bytes.length
    }
    const headBytes = await reader.fill(head)
    keep(head.subarray(0, headBytes))
    const magic = headBytes < 4 ? undefined : head.readUInt32LE(0)
    if (magic === FRAME_MAGIC || magic === LEGACY_MAGIC) {
      fail('a second LZ4 frame follows the first, and its content would be lost')
    }
    if (headBytes < 8) return findTrailer(tail)
    pass = magic !== undefined && isSkippableMagic(magic) ? head.readUInt32LE(4) : Infinity
  }
}
