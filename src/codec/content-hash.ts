// The running xxh32 of a frame's content, seed 0, whose four words are taken through the memory of a program (see lz4-program,
// lz4-decode-program): the content is there anyway. Only the last piece may be anything but a multiple of 16 bytes long.
//
// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

import type { FunctionText, WasmMemory } from './wasm-assembler.js'

const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d
const PRIME_4 = 0x27d4eb2f
const PRIME_5 = 0x165667b1
export const STRIPE_BYTES = 16

/** Where the four words lie in a program's memory. */
export const STATE_AT = 16

export const stateIn = ({ buffer }: Pick<WasmMemory, 'buffer'>): Uint32Array => new Uint32Array(buffer, STATE_AT, 4)

export interface HashProgram {
  /** Take the content's whole stripes of 16 bytes into the four words of an xxh32 state. */
  hash(state: number, from: number, contentBytes: number): void
}

/** Of a HashProgram. */
export const HASH: FunctionText = {
  name: 'hash',
  parameters: ['state', 'from', 'length'],
  variables: ['end', 'a', 'b', 'c', 'd'],
  body: (f) => {
    const lanes = ['a', 'b', 'c', 'd']
    const round = (lane: string, index: number) => {
      const added = f.add(lane, f.mul(f.load32(f.add('from', 4 * index)), PRIME_2))
      return f.set(lane, f.mul(f.rotl(added, 13), PRIME_1))
    }
    return f.seq(
      f.set('end', f.sub(f.add('from', 'length'), 15)),
      ...lanes.map((lane, index) => f.set(lane, f.load32(f.add('state', 4 * index)))),
      f.block(
        'done',
        f.loop(
          'stripe',
          f.goIf('done', f.atLeast('from', 'end')),
          ...lanes.map(round),
          f.set('from', f.add('from', 16)),
          f.go('stripe'),
        ),
      ),
      ...lanes.map((lane, index) => f.store32(f.add('state', 4 * index), lane)),
      f.value('end'),
    )
  },
}

export class ContentHash {
  readonly words = Uint32Array.of(PRIME_1 + PRIME_2, PRIME_2, 0, -PRIME_1)
  private bytes = 0
  private rest = new Uint8Array(0)

  /** Of `bytes` in all, of which the words know everything but the last ones, less than a stripe. */
  static of(words: Uint32Array, bytes: number, rest: Uint8Array<ArrayBuffer>): ContentHash {
    const hash = new ContentHash()
    hash.words.set(words)
    hash.bytes = bytes
    hash.rest = rest
    return hash
  }

  /** `content` was or will be taken into the words, as far as it goes in whole stripes. */
  counts(content: Uint8Array): void {
    if (this.rest.length > 0) throw new Error('only the last piece of a content may have an odd length')
    this.bytes += content.length
    this.rest = content.slice(content.length - (content.length % STRIPE_BYTES))
  }

  /** An unsigned 32-bit integer. Once all words are known. */
  digest(): number {
    const [a, b, c, d] = this.words as unknown as [number, number, number, number]
    const long = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)
    let hash = ((this.bytes >= STRIPE_BYTES ? long : PRIME_5) + this.bytes) | 0
    const { rest } = this
    const view = new DataView(rest.buffer, rest.byteOffset, rest.length)
    let at = 0
    for (; at + 4 <= rest.length; at += 4) {
      hash = Math.imul(rotated(hash + Math.imul(view.getUint32(at, true), PRIME_3), 17), PRIME_4)
    }
    for (; at < rest.length; at++) hash = Math.imul(rotated(hash + Math.imul(rest[at]!, PRIME_5), 11), PRIME_1)
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2)
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3)
    return (hash ^ (hash >>> 16)) >>> 0
  }
}

const rotated = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits))
