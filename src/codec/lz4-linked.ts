// Blocks of a frame whose matches may reach back into the blocks before (`lz4 -BD`). Owns the window: the last 64 KiB of
// content, whether it came compressed or stored. Works strictly in order, one block at a time, and
// keeps a copy, so that what it handed out belongs to the receiver.

import { decodeBlockBehind, HISTORY_BYTES_MAX, measureBlock } from './lz4-sequences.js'

export class LinkedBlocks {
  #history: Buffer = Buffer.alloc(0)

  /** The content of the next compressed block. Throws BlockFormatError. */
  decode(block: Uint8Array, contentBytesMax: number): Buffer {
    const historyBytes = this.#history.length
    const target = Buffer.allocUnsafe(historyBytes + measureBlock(block, contentBytesMax))
    target.set(this.#history)
    decodeBlockBehind(target, historyBytes, block)
    this.#history = Buffer.from(target.subarray(-HISTORY_BYTES_MAX))
    return target.subarray(historyBytes)
  }

  /** Take note of the next block, which was stored as it is. */
  store(content: Buffer): void {
    const known =
      content.length >= HISTORY_BYTES_MAX
        ? content
        : Buffer.concat([this.#history.subarray(content.length - HISTORY_BYTES_MAX), content])
    this.#history = Buffer.from(known.subarray(-HISTORY_BYTES_MAX))
  }
}
