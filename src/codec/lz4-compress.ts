// Compresses blocks on the calling thread, at 200 to 500 MB/s: what is short, and long contents that are not worth a thread (see
// lz4-thread). Content and result are copied through the program's memory.

import type { SpareBuffers } from '../spare-buffers.js'
import { type ContentHash, STATE_AT, stateIn } from './content-hash.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { compileLz4, compressedBytesMax, FREE_AT, type Lz4Program, SLACK_BYTES } from './lz4-program.js'
import { instantiate, newMemory } from './wasm-assembler.js'

/** The longest content of a block. Some 6 ms of work. */
export const BLOCK_CONTENT_BYTES_MAX = 2 * 1024 * 1024

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
 * Which places within a match are remembered: all for what is short, where bytes count, and hardly any for long contents (of a
 * database as in the benchmarks 0.473 of the bytes are left instead of 0.466, in four fifths of the time).
 */
export const STEP_DENSE = 1
export const STEP_FAST = 64

/**
 * The block for `content`, behind BLOCK_ROOM_BYTES to be overwritten, in a buffer of `room` where it fits one. Whoever takes it gives that
 * buffer back.
 */
export function compressBlock(content: Uint8Array, hash: ContentHash, step: number, room?: SpareBuffers): Buffer {
  place ??= open()
  const { program, bytes, state } = place
  bytes.set(content, CONTENT_AT)
  hash.counts(content)
  state.set(hash.words)
  program.hash(STATE_AT, CONTENT_AT, content.length)
  hash.words.set(state)
  const end = program.compress(CONTENT_AT, content.length, RESULT_AT, step)
  const length = BLOCK_ROOM_BYTES + end - RESULT_AT
  const buffer = room && length <= room.bytesEach ? room.take() : Buffer.allocUnsafeSlow(length)
  buffer.set(bytes.subarray(RESULT_AT, end), BLOCK_ROOM_BYTES)
  return buffer.subarray(0, length)
}
