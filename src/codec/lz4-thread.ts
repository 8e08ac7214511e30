// A thread that compresses and hashes the blocks of one long content while the calling thread reads and sends. Both see the same
// memory, so nothing is copied and nothing becomes garbage:
//
//   offset                    holds
//   0                         the program's own part (see lz4-program); at STATE_AT the state of the content's hash
//   FREE_AT + n * SLOT_BYTES  slot n: room for a block's length and its content, then room for a length and the block, each of
//                             them as it stands in a frame
//
// A slot is the caller's until `compress`, and again from its result until the caller takes it for another block.

import { ContentHash, STATE_AT, stateIn } from './content-hash.js'
import { LONG_BLOCK_BYTES } from './frame-format.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { STEPS } from './lz4-compress.js'
import { FREE_AT, SLACK_BYTES } from './lz4-parts.js'
import { compileLz4, compressedBytesMax } from './lz4-program.js'
import { ProgramThread } from './program-thread.js'
import { aligned, newMemory } from './wasm-assembler.js'

/** Within a slot, on a multiple of 8: V8 copies into memory that is shared byte by byte where source and target are not aligned alike. */
const CONTENT_AT = 8
const RESULT_AT = CONTENT_AT + LONG_BLOCK_BYTES + SLACK_BYTES
const SLOT_BYTES = aligned(RESULT_AT + BLOCK_ROOM_BYTES + compressedBytesMax(LONG_BLOCK_BYTES) + SLACK_BYTES)

const SERVE = `
  const { from, length, to, step } = message
  program.hash(data.state, from, length)
  return program.compress(from, length, to, step)`

export class CompressingThread {
  readonly hash = new ContentHash()
  private readonly bytes: Buffer
  private readonly state: Uint32Array
  private readonly thread: ProgramThread

  constructor(slots: number) {
    const memory = newMemory(FREE_AT + slots * SLOT_BYTES, true)
    this.bytes = Buffer.from(memory.buffer)
    this.state = stateIn(memory)
    this.state.set(this.hash.words)
    const data = { state: STATE_AT }
    this.thread = new ProgramThread({ what: 'compresses', module: compileLz4(true), memory, serve: SERVE, data })
  }

  /** Where a block's content goes: behind BLOCK_ROOM_BYTES. */
  content(slot: number): Buffer {
    const from = FREE_AT + slot * SLOT_BYTES + CONTENT_AT
    return this.bytes.subarray(from - BLOCK_ROOM_BYTES, from + LONG_BLOCK_BYTES)
  }

  /** The block for the first `length` bytes of the slot's content, behind BLOCK_ROOM_BYTES to be overwritten. In the order of the calls. */
  async compress(slot: number, length: number): Promise<Buffer> {
    if (this.thread.failure) throw this.thread.failure
    const at = FREE_AT + slot * SLOT_BYTES
    const from = at + CONTENT_AT
    this.hash.counts(this.bytes.subarray(from, from + length))
    const result = at + RESULT_AT
    const end = await this.thread.call({ from, length, to: result + BLOCK_ROOM_BYTES, step: STEPS.fast })
    return this.bytes.subarray(result, end)
  }

  /** Of all content, when all of it is compressed. */
  digest(): number {
    this.hash.words.set(this.state)
    return this.hash.digest()
  }

  /** What is compressed but was not taken is of no use any more. Never throws. */
  async close(): Promise<void> {
    await this.thread.close()
  }
}
