// A thread that compresses and hashes the blocks of one long content while the calling thread reads and sends. Both see the same
// memory, so nothing is copied and nothing becomes garbage:
//
//   offset                    holds
//   0                         the program's own part (see lz4-program); at STATE_AT the state of the content's hash
//   FREE_AT + n * SLOT_BYTES  slot n: room for a block's length and its content, then room for a length and the block, each of
//                             them as it stands in a frame
//
// A slot is the caller's until `compress`, and again from its result until the caller takes it for another block.

import { Worker } from 'node:worker_threads'
import { LitestreamError, messageOf } from '../errors.js'
import { ContentHash, STATE_AT, stateIn } from './content-hash.js'
import { LONG_BLOCK_BYTES } from './frame-format.js'
import { BLOCK_ROOM_BYTES } from './lz4-blocks.js'
import { STEP_FAST } from './lz4-compress.js'
import { compileLz4, compressedBytesMax, FREE_AT, SLACK_BYTES } from './lz4-program.js'
import { aligned, newMemory } from './wasm-assembler.js'

/** Within a slot, on a multiple of 8: V8 copies into memory that is shared byte by byte where source and target are not aligned alike. */
const CONTENT_AT = 8
const RESULT_AT = CONTENT_AT + LONG_BLOCK_BYTES + SLACK_BYTES
const SLOT_BYTES = aligned(RESULT_AT + BLOCK_ROOM_BYTES + compressedBytesMax(LONG_BLOCK_BYTES) + SLACK_BYTES)

/** Text and not a file, so that it runs alike from sources, from a build and in a bundle: all of the work is in the program. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const { module, memory, state } = workerData
const { hash, compress } = new WebAssembly.Instance(module, { host: { memory } }).exports
parentPort.on('message', ({ from, length, to, step }) => {
  hash(state, from, length)
  parentPort.postMessage(compress(from, length, to, step))
})`

interface Waiting {
  resolve(end: number): void
  reject(error: unknown): void
}

export class CompressingThread {
  readonly hash = new ContentHash()
  private readonly bytes: Buffer
  private readonly state: Uint32Array
  private readonly worker: Worker
  private readonly waiting: Waiting[] = []
  private failure: LitestreamError | undefined

  constructor(slots: number) {
    const memory = newMemory(FREE_AT + slots * SLOT_BYTES, true)
    this.bytes = Buffer.from(memory.buffer)
    this.state = stateIn(memory)
    this.state.set(this.hash.words)
    const workerData = { module: compileLz4(true), memory, state: STATE_AT }
    const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 }
    this.worker = new Worker(THREAD, { eval: true, workerData, resourceLimits, execArgv: [] })
    this.worker.on('message', (end: number) => {
      const { resolve } = this.waiting.shift() as Waiting
      if (this.waiting.length === 0) this.worker.unref()
      resolve(end)
    })
    this.worker.on('error', (error) => this.fail(error))
    this.worker.on('exit', () => this.fail(new Error('it has ended')))
    this.worker.unref()
  }

  /** Where a block's content goes: behind BLOCK_ROOM_BYTES. */
  content(slot: number): Buffer {
    const from = FREE_AT + slot * SLOT_BYTES + CONTENT_AT
    return this.bytes.subarray(from - BLOCK_ROOM_BYTES, from + LONG_BLOCK_BYTES)
  }

  /** The block for the first `length` bytes of the slot's content, behind BLOCK_ROOM_BYTES to be overwritten. In the order of the calls. */
  async compress(slot: number, length: number): Promise<Buffer> {
    if (this.failure) throw this.failure
    const at = FREE_AT + slot * SLOT_BYTES
    const from = at + CONTENT_AT
    this.hash.counts(this.bytes.subarray(from, from + length))
    const result = at + RESULT_AT
    const ended = new Promise<number>((resolve, reject) => this.waiting.push({ resolve, reject }))
    this.worker.ref()
    this.worker.postMessage({ from, length, to: result + BLOCK_ROOM_BYTES, step: STEP_FAST })
    return this.bytes.subarray(result, await ended)
  }

  /** Of all content, when all of it is compressed. */
  digest(): number {
    this.hash.words.set(this.state)
    return this.hash.digest()
  }

  /** What is compressed but was not taken is of no use any more. Never throws. */
  async close(): Promise<void> {
    await this.worker.terminate().catch(() => undefined)
  }

  private fail(cause: unknown): void {
    this.failure ??= new LitestreamError('LOCAL', `the thread that compresses does not run: ${messageOf(cause)}`, {
      cause,
    })
    for (const { reject } of this.waiting.splice(0)) reject(this.failure)
  }
}
