// Our own encoder of LZ4 blocks: whatever it is given comes back from both decoders, it never needs more than the room that it says,
// and it keeps the format's rules for a block's end, which other decoders rely on.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ContentHash } from '../../src/codec/content-hash.js'
import { DEEP_BYTES_MIN, DENSE_BYTES_MAX, searchFor } from '../../src/codec/frame-encode.js'
import { BLOCK_ROOM_BYTES, uncompressBlock } from '../../src/codec/lz4-blocks.js'
import { BLOCK_CONTENT_BYTES_MAX, compressBlock, DEEP_BLOCK_BYTES, type Search } from '../../src/codec/lz4-compress.js'
import { compressedBytesMax } from '../../src/codec/lz4-program.js'
import { decodeBlockBehind } from '../../src/codec/lz4-sequences.js'
import { CompressingThread } from '../../src/codec/lz4-thread.js'
import { loadXxh32 } from '../../src/codec/xxhash.js'
import { decode, encode, lz4Tool, MIB, mixture, noise } from '../support/codec.js'

const SEARCHES: readonly Search[] = ['fast', 'dense', 'deep']

/** Runs, random bytes and copies of what came before, also from just within and just beyond the reach of a match. */
const parts = fc.array(
  fc.oneof(
    fc.record({ run: fc.integer({ min: 1, max: 700 }), byte: fc.integer({ min: 0, max: 255 }) }),
    fc.record({ random: fc.integer({ min: 1, max: 300 }), seed: fc.integer() }),
    fc.record({ filler: fc.constantFrom(65_000, 65_531, 65_535, 65_536) }),
    fc.record({
      back: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(65_534, 65_535, 65_536)),
      length: fc.integer({ min: 1, max: 600 }),
    }),
  ),
  { maxLength: 12 },
)

function contentOf(shape: typeof parts extends fc.Arbitrary<infer T> ? T : never): Buffer {
  let content = Buffer.alloc(0)
  for (const part of shape) {
    let next: Buffer
    if ('run' in part) next = Buffer.alloc(part.run, part.byte)
    else if ('random' in part) next = mixture(part.random, part.seed)
    else if ('filler' in part) next = mixture(part.filler, 7)
    else {
      const start = Math.max(0, content.length - part.back)
      next = Buffer.from(content.subarray(start, start + part.length))
    }
    content = Buffer.concat([content, next])
  }
  return content
}

interface Sequence {
  readonly literals: number
  readonly matchStart: number
  readonly matchEnd: number
}

function sequencesOf(block: Uint8Array): Sequence[] {
  const sequences: Sequence[] = []
  let at = 0
  let done = 0
  const lengthAfter = (nibble: number): number => {
    let length = nibble
    for (let more = nibble === 15 ? 255 : 0; more === 255; length += more) more = block[at++] as number
    return length
  }
  while (at < block.length) {
    const token = block[at++] as number
    const literals = lengthAfter(token >> 4)
    at += literals
    const matchStart = done + literals
    if (at === block.length) return [...sequences, { literals, matchStart, matchEnd: matchStart }]
    at += 2
    done = matchStart + lengthAfter(token & 15) + 4
    sequences.push({ literals, matchStart, matchEnd: done })
  }
  throw new Error('the block does not end with literals')
}

test('what it makes is a block with the same content, for both decoders, within its bounds, and hashed', async () => {
  const xxh32 = await loadXxh32()
  await fc.assert(
    fc.asyncProperty(parts, fc.constantFrom(...SEARCHES), async (shape, search) => {
      const content = contentOf(shape)
      const hash = new ContentHash()
      const withRoom = compressBlock(content, hash, search)
      expect(hash.digest()).toBe(xxh32.of(content))
      const block = Buffer.from(withRoom.subarray(BLOCK_ROOM_BYTES))
      expect(block.length).toBeLessThanOrEqual(compressedBytesMax(content.length))
      const plain = Buffer.alloc(content.length)
      decodeBlockBehind(plain, 0, block)
      expect(plain.equals(content)).toBe(true)
      expect((await uncompressBlock(withRoom, content.length)).equals(content)).toBe(true)
      expect(compressBlock(content, new ContentHash(), search).subarray(BLOCK_ROOM_BYTES).equals(block)).toBe(true)
      const sequences = sequencesOf(block)
      if (sequences.length === 1) return
      expect(sequences.at(-1)?.literals).toBeGreaterThanOrEqual(5)
      expect(sequences.at(-2)?.matchStart).toBeLessThanOrEqual(content.length - 12)
    }),
    { numRuns: 400 },
  )
})

const compressedBytes = (content: Buffer, search: Search) => compressBlock(content, new ContentHash(), search).length

test.each(SEARCHES)('it finds what is far back, and passes over what does not compress: %s', (search) => {
  const once = mixture(60_000, 3)
  // A length of 60,000 takes 236 bytes.
  expect(compressedBytes(Buffer.concat([once, once]), search) - compressedBytes(once, search)).toBeLessThan(600)
  const random = Buffer.from(Array.from({ length: 100_000 }, (_, i) => Math.imul(i ^ 0x5bd1e995, 0x9e3779b1) >>> 24))
  expect(compressedBytes(random, search)).toBeLessThanOrEqual(BLOCK_ROOM_BYTES + compressedBytesMax(random.length))
})

test('of the last two places and the next positions the deep search takes the longest match', () => {
  const filler = noise(400, 21)
  const between = (count: number) => filler.subarray(20 * count, 20 * count + 20)
  const said = ['', 'abcdefghijkl', 'abcd', 'abcdefghijkl', 'mnop', 'nopqrstuvw', 'mnopqrstuvw', '']
  const content = Buffer.concat(said.flatMap((text, i) => [Buffer.from(text), between(i)]))
  const matches = (search: Search) =>
    sequencesOf(compressBlock(content, new ContentHash(), search).subarray(BLOCK_ROOM_BYTES))
      .slice(0, -1)
      .map(({ matchStart, matchEnd }) => content.subarray(matchStart, matchEnd).toString('latin1'))
  expect(matches('deep')).toEqual(['abcd', 'abcdefghijkl', 'nopqrstuvw'])
  // The quick one knows the shorter of both only, or has taken it already.
  expect(matches('dense')).toEqual(['abcd', 'abcd', 'efghijkl', 'mnop', 'qrstuvw'])
})

const periods = (length: number): Buffer[] =>
  [1, 2, 3, 4, 5, 7, 8, 9, 16, 255].map((period) => {
    const one = noise(period, period)
    return Buffer.from(Array.from({ length }, (_, i) => one[i % period] as number))
  })

test("short contents of every length around the rules for a block's end, of every short period", () => {
  for (let length = 0; length < 40; length++) {
    for (const content of [...periods(length), noise(length, length), Buffer.alloc(length)]) {
      for (const search of SEARCHES) {
        const block = compressBlock(content, new ContentHash(), search).subarray(BLOCK_ROOM_BYTES)
        const plain = Buffer.alloc(length)
        decodeBlockBehind(plain, 0, block)
        expect(plain.equals(content)).toBe(true)
        const [last, match] = sequencesOf(block).reverse()
        if (!match) continue
        expect(last?.literals).toBeGreaterThanOrEqual(5)
        expect(match.matchStart).toBeLessThanOrEqual(length - 12)
      }
    }
  }
})

test('all contents of the deep search are what the real tool reads', async () => {
  const contents = [...periods(100_003), mixture(3 * MIB, 12), noise(MIB, 13), Buffer.alloc(2 * MIB, 1)]
  const content = Buffer.concat(contents)
  expect(searchFor(content.length)).toBe('deep')
  const frame = await encode(content, { contentBytes: content.length })
  expect(lz4Tool(frame, '-d').equals(content)).toBe(true)
  expect((await decode(frame)).equals(content)).toBe(true)
})

test('the largest content of a block, compressible not at all and very much', async () => {
  for (const content of [noise(BLOCK_CONTENT_BYTES_MAX, 5), Buffer.alloc(BLOCK_CONTENT_BYTES_MAX)]) {
    for (const search of SEARCHES) {
      const block = compressBlock(content, new ContentHash(), search)
      expect((await uncompressBlock(block, content.length)).equals(content)).toBe(true)
    }
  }
})

test('in a thread of its own the blocks and their hash are the same', async () => {
  const content = Buffer.concat([mixture(2 * MIB, 5), noise(MIB, 6), mixture(700_003, 7)])
  const thread = new CompressingThread(2)
  const hash = new ContentHash()
  try {
    for (let at = 0; at < content.length; at += MIB) {
      const piece = content.subarray(at, at + MIB)
      thread.content((at / MIB) % 2).set(piece, BLOCK_ROOM_BYTES)
      const there = await thread.compress((at / MIB) % 2, piece.length)
      const here = compressBlock(piece, hash, 'fast')
      expect(there.subarray(BLOCK_ROOM_BYTES).equals(here.subarray(BLOCK_ROOM_BYTES))).toBe(true)
    }
    expect(thread.digest()).toBe(hash.digest())
  } finally {
    await thread.close()
  }
  await expect(thread.compress(0, MIB)).rejects.toMatchObject({ code: 'LOCAL' })
})

test('a long content makes the same frame in a thread as without one', async () => {
  const content = Buffer.concat([mixture(6 * MIB, 8), noise(2 * MIB, 9), mixture(123_457, 10)])
  const long = { contentBytesEstimate: 1 << 30 }
  for (const length of [content.length, 3 * MIB, 5, 0]) {
    const some = content.subarray(0, length)
    const frame = await encode(some, { ...long, blocksInFlight: 3 }, [300_001])
    expect((await decode(frame)).equals(some)).toBe(true)
    // Its last block is made densely where there is no thread.
    if (length % MIB === 0) expect(frame.equals(await encode(some, {}, [300_001]))).toBe(true)
  }
})

/** Header, blocks, end. */
function frameBytes(content: Buffer, blockBytes: number, search: Search): number {
  let bytes = 7 + 8
  for (let at = 0; at < content.length; at += blockBytes) {
    const block = content.subarray(at, at + blockBytes)
    bytes += Math.min(compressedBytes(block, search), BLOCK_ROOM_BYTES + block.length)
  }
  return bytes
}

const denseFrameBytes = (content: Buffer): number =>
  frameBytes(content, content.length <= BLOCK_CONTENT_BYTES_MAX ? BLOCK_CONTENT_BYTES_MAX : MIB, 'dense')

const around = (limit: number): number[] => [limit - 1, limit, limit + 1]

test.each([...[BLOCK_CONTENT_BYTES_MAX, DEEP_BYTES_MIN, 3 * DEEP_BLOCK_BYTES, DENSE_BYTES_MAX].flatMap(around)])(
  'a content of a known length on both sides of its limits: %i',
  async (length) => {
    const content = mixture(length, 11)
    const known = await encode(content, { contentBytes: length }, [100_000])
    expect((await decode(known)).equals(content)).toBe(true)
    const unknown = await encode(content, {}, [100_000])
    if (length > DENSE_BYTES_MAX) return expect(known.equals(unknown)).toBe(true)
    expect(known.length).toBeLessThan(unknown.length)
    const isDeep = length >= DEEP_BYTES_MIN
    expect(known.length).toBe(isDeep ? frameBytes(content, DEEP_BLOCK_BYTES, 'deep') : denseFrameBytes(content))
    if (isDeep) expect(known.length).toBeLessThan(0.99 * denseFrameBytes(content))
  },
)

test('a content that is longer than it was said to be is an error, a shorter one is not', async () => {
  const content = mixture(5000, 2)
  await expect(encode(content, { contentBytes: 4999 }, [100])).rejects.toThrow(/longer than/)
  expect((await decode(await encode(content, { contentBytes: 9000 }, [100]))).equals(content)).toBe(true)
})
