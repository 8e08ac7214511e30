// A thread that decodes and hashes the blocks of one long content while the calling thread receives the next one and writes the one before.
// Blocks arrive in memory that both see and are handed out from it: nothing is allocated for a block, so nothing becomes garbage.
// (With the library, a restore of a gigabyte spent most of its time on 250 buffers of 4 MiB: clearing, collecting and freeing them.)
//
//   offset                   holds
//   STATE_AT                 the state of the content's hash
//   INPUTS_AT, twice         the block that is read, behind BLOCK_ROOM_BYTES of room, and up to eight bytes behind it
//   ..., three times         the content of a block, and in front of it what the hash has not taken of the one before (under 16 bytes)
//
// One input is read while the other one is decoded; one content is decoded while the one before is in use and the one before that is
// still being written.

import { ContentHash, STATE_AT, STRIPE_BYTES, stateIn } from './content-hash.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { compileLz4Decoder } from './lz4-decode-program.js'
import { SLACK_BYTES } from './lz4-parts.js'
import { ProgramThread } from './program-thread.js'
import { aligned, newMemory } from './wasm-assembler.js'

/** So many blocks may be under way before the first one has to be taken. */
export const BLOCKS_DECODING_MAX = 2

const INPUTS_AT = 64
const INPUTS = BLOCKS_DECODING_MAX
const CONTENTS = BLOCKS_DECODING_MAX + 1
const BEHIND_BYTES = 8

/** What is left of the hash's pieces is kept by the thread, because the next block is decoded before this one is taken. */
const SERVE = `
  const { from, length, isCompressed, to } = message
  if (!isCompressed) bytes.copyWithin(to, from, from + length)
  const end = isCompressed ? program.decode(from, length, to, data.room) : to + length
  if (end === 0) return 0
  const rest = kept.rest ?? Buffer.alloc(0)
  const begin = to - rest.length
  bytes.set(rest, begin)
  program.hash(data.state, begin, end - begin)
  kept.rest = Buffer.from(bytes.subarray(end - ((end - begin) % data.stripe), end))
  return end`

export class DecodingThread {
  private readonly memory: Buffer
  private readonly state: Uint32Array
  private readonly thread: ProgramThread
  private readonly inputBytes: number
  private readonly contentsAt: number
  private readonly contentBytes: number
  private count = 0
  /** Of all contents that were taken; and where the last one ends. */
  private bytes = 0
  private end = 0

  constructor(blockBytesMax: number) {
    this.inputBytes = aligned(BLOCK_ROOM_BYTES + blockBytesMax + BEHIND_BYTES + SLACK_BYTES)
    this.contentsAt = INPUTS_AT + INPUTS * this.inputBytes
    this.contentBytes = aligned(STRIPE_BYTES + blockBytesMax + SLACK_BYTES)
    const memory = newMemory(this.contentsAt + CONTENTS * this.contentBytes, true)
    this.memory = Buffer.from(memory.buffer)
    this.state = stateIn(memory)
    this.state.set(new ContentHash().words)
    const module = compileLz4Decoder(true)
    const data = { state: STATE_AT, stripe: STRIPE_BYTES, room: blockBytesMax }
    this.thread = new ProgramThread({ what: 'decompresses', module, memory, serve: SERVE, data })
  }

  /** Where the next block goes, behind BLOCK_ROOM_BYTES. */
  get input(): Buffer {
    const at = this.inputAt
    return this.memory.subarray(at, at + this.inputBytes - SLACK_BYTES)
  }

  /**
   * The content of the block of `blockBytes` in `input`, valid until the third call from this one; at most BLOCKS_DECODING_MAX may be under
   * way. Undefined when it is malformed or too long. What is not compressed is taken as it is. In the order of the calls.
   */
  async decode(blockBytes: number, isCompressed: boolean): Promise<Buffer | undefined> {
    const from = this.inputAt + BLOCK_ROOM_BYTES
    const to = this.contentsAt + (this.count++ % CONTENTS) * this.contentBytes + STRIPE_BYTES
    const end = await this.thread.call({ from, length: blockBytes, isCompressed, to })
    if (end === 0) return undefined
    this.bytes += end - to
    this.end = end
    return this.memory.subarray(to, end)
  }

  /** xxh32 of all contents, an unsigned 32-bit integer, while none is under way. */
  digest(): number {
    const { state, bytes, end } = this
    return ContentHash.of(
      state,
      bytes,
      Uint8Array.from(this.memory.subarray(end - (bytes % STRIPE_BYTES), end)),
    ).digest()
  }

  /** Never throws. */
  async close(): Promise<void> {
    await this.thread.close()
  }

  private get inputAt(): number {
    return INPUTS_AT + (this.count % INPUTS) * this.inputBytes
  }
}
