import { describe, expect, test } from 'vitest'
import { ContentHash } from '../../../src/codec/content-hash.js'
import { BLOCK_ROOM_BYTES, uncompressBlock } from '../../../src/codec/lz4-blocks.js'
import { compressBlock } from '../../../src/codec/lz4-compress.js'
import { BlockFormatError, decodeBlockBehind, measureBlock } from '../../../src/codec/lz4-sequences.js'
import { loadXxh32 } from '../../../src/codec/xxhash.js'
import { mixture } from '../../support/codec.js'

describe('blocks', () => {
  test('both decoders agree with each other and with the measured length', async () => {
    for (const length of [0, 1, 12, 13, 300, 16_384, 16_385, 65_537, 1_000_000]) {
      const content = mixture(length, length + 1)
      for (const search of ['fast', 'dense', 'deep'] as const) {
        const block = compressBlock(content, new ContentHash(), search)
        const sequences = block.subarray(BLOCK_ROOM_BYTES)
        expect(measureBlock(sequences, length)).toBe(length)
        const plain = Buffer.alloc(length)
        decodeBlockBehind(plain, 0, sequences)
        expect(plain.equals(content)).toBe(true)
        expect((await uncompressBlock(block, length)).equals(content)).toBe(true)
        expect((await uncompressBlock(block, length + 100_000)).equals(content)).toBe(true)
        if (length > 0) {
          expect(() => measureBlock(sequences, length - 1)).toThrow(BlockFormatError)
          await expect(uncompressBlock(block, length - 1)).rejects.toThrow()
        }
      }
    }
  })

  test('matches reach into the history and not beyond it', () => {
    const block = Buffer.from('00030000', 'hex') // match of 4 at offset 3, then no literals
    const target = Buffer.from('abc....')
    decodeBlockBehind(target, 3, block)
    expect(target.toString()).toBe('abcabca')
    expect(() => decodeBlockBehind(Buffer.alloc(6), 2, block)).toThrow(/before its beginning/)
  })

  test.each(['', '10', 'f0', '0001', '000100', 'f0ff'])('a cut block is refused: %j', (hex) => {
    const block = Buffer.from(hex, 'hex')
    expect(() => measureBlock(block, 10_000)).toThrow(BlockFormatError)
  })
})

test('xxh32 known answers, in one piece and in many', async () => {
  const xxh32 = await loadXxh32()
  expect(xxh32.of(Buffer.alloc(0))).toBe(0x02cc5d05)
  expect(xxh32.of(Buffer.from('abc'))).toBe(0x32d153ff)
  const content = mixture(700_001, 1)
  const hash = xxh32.create()
  for (let at = 0; at < content.length; at += 999) hash.update(content.subarray(at, at + 999))
  expect(hash.digest()).toBe(xxh32.of(content))
})
