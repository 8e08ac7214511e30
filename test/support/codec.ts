// Helpers of the codec's tests: streams from bytes and back, the real `lz4` tool, contents of every kind.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type DecodeFrameOptions, decodeFrame, type EncodeFrameOptions, encodeFrame } from '../../src/codec/frame.js'

export const MIB = 1024 * 1024

/** `bytes` in pieces whose lengths go round through `sizes`. */
export async function* pieces(bytes: Uint8Array, sizes: readonly number[] = [65_536]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const bytes of source) all.push(Uint8Array.from(bytes)) // valid until the next is asked for
  return Buffer.concat(all)
}

export const encode = (content: Uint8Array, options?: EncodeFrameOptions, sizes?: readonly number[]): Promise<Buffer> =>
  collect(encodeFrame(pieces(content, sizes), options))

export const decode = (
  object: Uint8Array,
  options: Partial<DecodeFrameOptions> = {},
  sizes?: readonly number[],
): Promise<Buffer> => collect(decodeFrame(pieces(object, sizes), { name: 'some/object.lz4', ...options }))

/** Run the real tool, the reference for the format. From a file, for it must know the length to write a content size. */
export function lz4Tool(input: Uint8Array, ...args: string[]): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'litestream-test-lz4-'))
  try {
    const file = join(directory, 'input')
    writeFileSync(file, input)
    const result = spawnSync(process.env.LZ4_BIN ?? 'lz4', [...args, '-c', file], { maxBuffer: 64 * MIB })
    if (result.status === 0) return result.stdout
    throw new Error(`lz4 ${args.join(' ')}: ${result.error?.message ?? result.stderr.toString()}`)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Bytes without a pattern, the same for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed | 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state
  }
  return bytes
}

/** Bytes that compress about as well as a database: noise and repetitions of earlier parts, near and far. */
export function mixture(length: number, seed: number): Buffer {
  const bytes = noise(length, seed)
  for (let at = 64, i = seed >>> 0; at < length; i = (Math.imul(i, 1103515245) + 12345) >>> 0) {
    const run = 8 + ((i >>> 8) % 600)
    const back = 1 + ((i >>> 16) % Math.min(at, 70_000))
    for (let k = 0; k < run && at + k < length; k++) bytes[at + k] = bytes[at + k - back]!
    at += run + 1 + ((i >>> 4) % 40)
  }
  return bytes
}

const KINDS = {
  zeros: (length: number) => Buffer.alloc(length),
  noise,
  mixture,
}

export interface Content {
  readonly kind: keyof typeof KINDS
  readonly length: number
  readonly seed: number
}

export const makeContent = ({ kind, length, seed }: Content): Buffer => KINDS[kind](length, seed)

export function contents(lengths: fc.Arbitrary<number>): fc.Arbitrary<Content> {
  return fc.record({
    kind: fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[])),
    length: lengths,
    seed: fc.integer({ min: 1, max: 1_000_000 }),
  })
}
