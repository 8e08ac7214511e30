// Our own encoder of LZ4 blocks: whatever it is given comes back from both decoders, it never needs more than the room that it says,
// and it keeps the format's rules for a block's end, which other decoders rely on.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BLOCK_ROOM_BYTES, uncompressBlock } from '../../src/codec/lz4-blocks.js'
import { compressDense, DENSE_BYTES_MAX, denseBytesMax } from '../../src/codec/lz4-dense.js'
import { decodeBlockBehind } from '../../src/codec/lz4-sequences.js'
import { decode, encode, mixture } from '../support/codec.js'

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

test('what it makes is a block with the same content, for both decoders, within its bounds', async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.integer({ min: 0, max: 9 }), async (shape, at) => {
      const content = contentOf(shape)
      const target = new Uint8Array(at + denseBytesMax(content.length) + 1).fill(0xee)
      const end = compressDense(content, target, at)
      expect(end).toBeLessThanOrEqual(at + denseBytesMax(content.length))
      expect(target.subarray(0, at).every((byte) => byte === 0xee)).toBe(true)
      const block = target.subarray(at, end)
      const plain = Buffer.alloc(content.length)
      decodeBlockBehind(plain, 0, block)
      expect(plain.equals(content)).toBe(true)
      const withRoom = Buffer.concat([Buffer.alloc(BLOCK_ROOM_BYTES), block])
      expect((await uncompressBlock(withRoom, content.length)).equals(content)).toBe(true)
      const sequences = sequencesOf(block)
      if (sequences.length === 1) return
      expect(sequences.at(-1)?.literals).toBeGreaterThanOrEqual(5)
      expect(sequences.at(-2)?.matchStart).toBeLessThanOrEqual(content.length - 12)
    }),
    { numRuns: 400 },
  )
})

test('it finds what is far back, and passes over what does not compress', () => {
  const once = mixture(60_000, 3)
  const target = new Uint8Array(denseBytesMax(200_000))
  const one = compressDense(once, target, 0)
  const twice = compressDense(Buffer.concat([once, once]), target, 0)
  // A length of 60,000 takes 236 bytes.
  expect(twice - one).toBeLessThan(600)
  const noise = Buffer.from(Array.from({ length: 100_000 }, (_, i) => Math.imul(i ^ 0x5bd1e995, 0x9e3779b1) >>> 24))
  expect(compressDense(noise, target, 0)).toBeLessThanOrEqual(denseBytesMax(noise.length))
})

test.each([DENSE_BYTES_MAX - 1, DENSE_BYTES_MAX, DENSE_BYTES_MAX + 1])(
  'a content of a known length on both sides of its limit: %i',
  async (length) => {
    const content = mixture(length, 11)
    const known = await encode(content, { contentBytes: length }, [100_000])
    expect((await decode(known)).equals(content)).toBe(true)
    const unknown = await encode(content, {}, [100_000])
    if (length <= DENSE_BYTES_MAX) expect(known.length).toBeLessThan(unknown.length)
    else expect(known.equals(unknown)).toBe(true)
  },
)

test('a content that is longer than it was said to be is an error, a shorter one is not', async () => {
  const content = mixture(5000, 2)
  await expect(encode(content, { contentBytes: 4999 }, [100])).rejects.toThrow(/longer than/)
  expect((await decode(await encode(content, { contentBytes: 9000 }, [100]))).equals(content)).toBe(true)
})
