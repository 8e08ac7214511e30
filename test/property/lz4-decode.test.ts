// Our own decoder of LZ4 blocks against the library and against the plain one: the same content for what is a block, and the same
// answer, without a byte outside of its room, for what was damaged.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { ContentHash } from '../../src/codec/content-hash.js'
import { BLOCK_ROOM_BYTES } from '../../src/codec/lz4-blocks.js'
import { compressBlock } from '../../src/codec/lz4-compress.js'
import { compileLz4Decoder, type Lz4Decoder } from '../../src/codec/lz4-decode-program.js'
import { BLOCKS_DECODING_MAX, DecodingThread } from '../../src/codec/lz4-decode-thread.js'
import { SLACK_BYTES } from '../../src/codec/lz4-parts.js'
import { decodeBlockBehind, measureBlock } from '../../src/codec/lz4-sequences.js'
import { instantiate, newMemory } from '../../src/codec/wasm-assembler.js'
import { loadXxh32 } from '../../src/codec/xxhash.js'
import { isLitestreamError } from '../../src/errors.js'
import { decode, encode, lz4Tool, mixture, noise } from '../support/codec.js'

const BLOCK_AT = 1024
const CONTENT_AT = 1 << 19
const MARK = 0xa5

const memory = newMemory(1 << 20, false)
const bytes = Buffer.from(memory.buffer)
const decoder = instantiate(compileLz4Decoder(false), memory) as Lz4Decoder

/** The content; undefined when it is malformed. Nothing in front of the content and behind its slack is touched. */
function decoded(block: Uint8Array, contentBytesMax: number): Buffer | undefined {
  bytes.fill(MARK, CONTENT_AT - 64, CONTENT_AT + contentBytesMax + SLACK_BYTES + 64)
  bytes.set(block, BLOCK_AT)
  const end = decoder.decode(BLOCK_AT, block.length, CONTENT_AT, contentBytesMax)
  const behind = CONTENT_AT + contentBytesMax + SLACK_BYTES
  expect(bytes.subarray(CONTENT_AT - 64, CONTENT_AT).every((byte) => byte === MARK)).toBe(true)
  expect(bytes.subarray(behind, behind + 64).every((byte) => byte === MARK)).toBe(true)
  return end === 0 ? undefined : Buffer.from(bytes.subarray(CONTENT_AT, end))
}

function plainly(block: Uint8Array, contentBytesMax: number): Buffer | undefined {
  try {
    const content = Buffer.alloc(measureBlock(block, contentBytesMax))
    decodeBlockBehind(content, 0, block)
    return content
  } catch {
    return undefined
  }
}

const contents = fc.oneof(
  fc
    .record({ length: fc.integer({ min: 0, max: 3000 }), seed: fc.integer() })
    .map(({ length, seed }) => mixture(length, seed)),
  fc
    .record({ length: fc.integer({ min: 1, max: 70_000 }), period: fc.integer({ min: 1, max: 40 }) })
    .map(({ length, period }) => Buffer.from(Array.from({ length }, (_, i) => (i % period) * 7))),
  fc.integer({ min: 1, max: 600 }).map((length) => noise(length, length)),
)

const blockOf = (content: Buffer) =>
  Buffer.from(compressBlock(content, new ContentHash(), 'dense').subarray(BLOCK_ROOM_BYTES))

test('what was compressed comes back, in exactly as much room as it needs', () => {
  fc.assert(
    fc.property(contents, (content) => {
      const block = blockOf(content)
      expect(decoded(block, content.length)?.equals(content)).toBe(true)
      if (content.length > 0) expect(decoded(block, content.length - 1)).toBeUndefined()
    }),
    { numRuns: 500 },
  )
})

test('what was changed, cut, or was never a block: the same as the plain decoder says', () => {
  const changes = fc.array(fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }), { maxLength: 4 })
  fc.assert(
    fc.property(contents, changes, fc.double({ min: 0, max: 1, noNaN: true }), (content, changed, cut) => {
      const whole = blockOf(content)
      for (const { at, byte } of changed) whole[at % whole.length] = byte
      for (const block of [whole, whole.subarray(0, Math.floor(cut * whole.length))]) {
        const expected = plainly(block, content.length)
        const got = decoded(block, content.length)
        expect(got?.toString('hex')).toBe(expected?.toString('hex'))
      }
    }),
    { numRuns: 1500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
      expect(decoded(block, 5000)?.toString('hex')).toBe(plainly(block, 5000)?.toString('hex'))
    }),
    { numRuns: 3000 },
  )
})

test('blocks of the real tool', () => {
  for (const content of [mixture(60_000, 1), mixture(65_536, 2), Buffer.alloc(65_000, 3)]) {
    const frame = lz4Tool(content, '-9', '--no-frame-crc')
    // Magic, descriptor (flags and block size, no content size), header checksum; then the block.
    const block = frame.subarray(11, 11 + frame.readUInt32LE(7))
    expect(decoded(block, content.length)?.equals(content)).toBe(true)
  }
})

/** What reading gives: the content, or what is wrong. */
async function outcome(object: Buffer, isLong: boolean): Promise<string> {
  try {
    return createHash('sha1')
      .update(await decode(object, { isLong }))
      .digest('hex')
  } catch (error) {
    if (!isLitestreamError(error)) throw error
    return error.code
  }
}

test('a long content gives what a short one gives, whatever the blocks, and whatever has happened to them', async () => {
  const content = Buffer.concat([
    mixture(700_003, 1),
    noise(1_300_000, 2),
    Buffer.alloc(400_001, 3),
    mixture(900_000, 4),
  ])
  const flags = [
    ['-B5'],
    ['-B6'],
    ['-B7'],
    ['-B6', '-BX'],
    ['-B6', '--content-size'],
    ['-B5', '--no-frame-crc'],
    ['-B6', '-BD'],
  ]
  const frames = [await encode(content), ...flags.map((words) => lz4Tool(content, ...words))]
  const expected = createHash('sha1').update(content).digest('hex')
  for (const frame of frames) {
    expect(await outcome(frame, true)).toBe(expected)
    expect((await decode(frame, { isLong: true }, [1, 70_001, 3])).equals(content)).toBe(true)
  }
  const damage = fc.record({
    frame: fc.constantFrom(...frames),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    bit: fc.integer({ min: 0, max: 7 }),
    cut: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(damage, async ({ frame, at, bit, cut }) => {
      const place = Math.floor(at * frame.length)
      const damaged = Buffer.from(cut ? frame.subarray(0, place) : frame)
      if (!cut) damaged[place] = damaged[place]! ^ (1 << bit)
      expect(await outcome(damaged, true)).toBe(await outcome(damaged, false))
    }),
    { numRuns: 60 },
  )
})

test('what is handed out stays until three more blocks were given, and pieces of odd lengths are hashed as one', async () => {
  // Blocks that are not full, as an encoder makes them that is flushed in between.
  const parts = [mixture(300_001, 5), noise(300_007, 6), mixture(77_777, 7), mixture(262_144, 8)]
  const thread = new DecodingThread(1 << 19)
  onTestFinished(() => thread.close())
  const xxh32 = (await loadXxh32()).create()
  const given = (i: number): Promise<Buffer | undefined> => {
    const part = parts[i] as Buffer
    const block = i === 1 ? part : blockOf(part)
    block.copy(thread.input, BLOCK_ROOM_BYTES)
    xxh32.update(part)
    return thread.decode(block.length, i !== 1)
  }
  const decoding = parts.slice(0, BLOCKS_DECODING_MAX).map((_, i) => given(i))
  let before: Buffer | undefined
  for (const [i, part] of parts.entries()) {
    const piece = await decoding[i]
    await Promise.all(decoding)
    if (i > 0) expect(before?.equals(parts[i - 1] as Buffer)).toBe(true)
    if (decoding.length < parts.length) decoding.push(given(decoding.length))
    await Promise.all(decoding)
    expect(piece?.equals(part)).toBe(true)
    before = piece
  }
  expect(thread.digest()).toBe(xxh32.digest())
})
