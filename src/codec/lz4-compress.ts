// Compresses blocks on the calling thread, at 180 to 500 MB/s: what is short, and long contents that are not worth a thread (see
// lz4-thread). Content and result are copied through the program's memory.

import type { SpareBuffers } from '../spare-buffers.js'
import { type ContentHash, STATE_AT, stateIn } from './content-hash.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { FREE_AT, SLACK_BYTES } from './lz4-parts.js'
import { compileLz4, compressedBytesMax, type Lz4Program } from './lz4-program.js'
import { instantiate, newMemory } from './wasm-assembler.js'

/** The longest content of a block. Some 6 ms of work, but for the deep search: then a block should have DEEP_BLOCK_BYTES, which are 9 ms. */
export const BLOCK_CONTENT_BYTES_MAX = 2 * 1024 * 1024
export const DEEP_BLOCK_BYTES = 1536 * 1024

const CONTENT_AT = FREE_AT
const RESULT_AT = CONTENT_AT + BLOCK_CONTENT_BYTES_MAX + SLACK_BYTES
const MEMORY_BYTES = RESULT_AT + compressedBytesMax(BLOCK_CONTENT_BYTES_MAX) + SLACK_BYTES

interface Place {
  readonly program: Lz4Program
  readonly bytes: Buffer
  readonly state: Uint32Array
}

let place: Place | undefined

function open(): Place {
  const memory = newMemory(MEMORY_BYTES, false)
  const program = instantiate(compileLz4(false), memory) as Lz4Program
  return { program, bytes: Buffer.from(memory.buffer), state: stateIn(memory) }
}

/**
 * How much is done for few bytes. Of segments as in the benchmarks, in blocks of 1 MiB, `fast` leaves 0.475 of the bytes at 355 MB/s of
 * processor time, `dense` 0.468 at 280 MB/s, `deep` 0.451 at 185 MB/s.
 */
export type Search = 'fast' | 'dense' | 'deep'

/** Which places within a match the quick search remembers: hardly any, or all. */
export const STEPS = { fast: 64, dense: 1 } as const

/**
 * The block for `content`, behind BLOCK_ROOM_BYTES to be overwritten, in a buffer of `room` where it fits one. Whoever takes it gives that
 * buffer back.
 */
export function compressBlock(content: Uint8Array, hash: ContentHash, search: Search, room?: SpareBuffers): Buffer {
  place ??= open()
  const { program, bytes, state } = place
  bytes.set(content, CONTENT_AT)
  hash.counts(content)
  state.set(hash.words)
  program.hash(STATE_AT, CONTENT_AT, content.length)
  hash.words.set(state)
  const end =
    search === 'deep'
      ? program.compressDeep(CONTENT_AT, content.length, RESULT_AT)
      : program.compress(CONTENT_AT, content.length, RESULT_AT, STEPS[search])
  const length = BLOCK_ROOM_BYTES + end - RESULT_AT
  const buffer = room && length <= room.bytesEach ? room.take() : Buffer.allocUnsafeSlow(length)
  buffer.set(bytes.subarray(RESULT_AT, end), BLOCK_ROOM_BYTES)
  return buffer.subarray(0, length)
}
