// Decodes and hashes the blocks of one long content in memory of its own, in which they also arrive and from which they are handed out:
// nothing is allocated for a block, so nothing becomes garbage. (With the library, a restore of a gigabyte spent most of its
// time on 250 buffers of 4 MiB: clearing, collecting and freeing them.)
//
//   offset                   holds
//   STATE_AT                 the state of the content's hash
//   INPUT_AT                 the block that is read, behind BLOCK_ROOM_BYTES of room, and up to eight bytes behind it
//   ..., twice               the content of a block, and in front of it what the hash has not taken of the one before (under 16 bytes)

import { ContentHash, STATE_AT, STRIPE_BYTES, stateIn } from './content-hash.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { compileLz4Decoder, type Lz4Decoder } from './lz4-decode-program.js'
import { SLACK_BYTES } from './lz4-program.js'
import { aligned, instantiate, newMemory } from './wasm-assembler.js'

const INPUT_AT = 64
const BEHIND_BYTES = 8

export class LongContent {
  /** Where the next block goes, behind BLOCK_ROOM_BYTES. */
  readonly input: Buffer
  private readonly memory: Buffer
  private readonly decoder: Lz4Decoder
  private readonly slots: readonly [number, number]
  private readonly state: Uint32Array
  private count = 0
  private bytes = 0
  private rest = new Uint8Array(0)

  constructor(private readonly blockBytesMax: number) {
    const inputBytes = BLOCK_ROOM_BYTES + blockBytesMax + BEHIND_BYTES
    const first = aligned(INPUT_AT + inputBytes + SLACK_BYTES) + STRIPE_BYTES
    const second = aligned(first + blockBytesMax + SLACK_BYTES) + STRIPE_BYTES
    const memory = newMemory(second + blockBytesMax + SLACK_BYTES, false)
    this.slots = [first, second]
    this.memory = Buffer.from(memory.buffer)
    this.input = this.memory.subarray(INPUT_AT, INPUT_AT + inputBytes)
    this.state = stateIn(memory)
    this.state.set(new ContentHash().words)
    this.decoder = instantiate(compileLz4Decoder(), memory) as Lz4Decoder
  }

  /**
   * The content of the block of `blockBytes` in `input`, valid until the next but one is asked for; undefined when it is malformed or too
   * long. What is not compressed is taken as it is.
   */
  take(blockBytes: number, isCompressed: boolean): Buffer | undefined {
    const { memory, rest } = this
    const from = INPUT_AT + BLOCK_ROOM_BYTES
    const to = this.slots[this.count++ % 2 ? 1 : 0]
    if (!isCompressed) memory.copyWithin(to, from, from + blockBytes)
    const end = isCompressed ? this.decoder.decode(from, blockBytes, to, this.blockBytesMax) : to + blockBytes
    if (end === 0) return undefined
    const begin = to - rest.length
    memory.set(rest, begin)
    this.decoder.hash(STATE_AT, begin, end - begin)
    this.rest = Uint8Array.from(memory.subarray(end - ((end - begin) % STRIPE_BYTES), end))
    this.bytes += end - to
    return memory.subarray(to, end)
  }

  /** xxh32 of all that was taken, an unsigned 32-bit integer. */
  digest(): number {
    return ContentHash.of(this.state, this.bytes, this.rest).digest()
  }
}
