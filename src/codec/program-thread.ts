// A thread that runs a program of ours (see wasm-assembler) in memory that it shares with the calling thread, so that nothing is copied
// between them and nothing becomes garbage. Calls are served one after the other, and their results come in the same order. It keeps the process
// alive only while a call is under way.

import { Worker } from 'node:worker_threads'
import { holdYoung, keepYoungHeld, releaseYoung } from '../engine-tuning.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { WasmMemory, WasmModule } from './wasm-assembler.js'

export interface ThreadOptions {
  /** Completes "the thread that ... does not run". */
  readonly what: string
  readonly module: WasmModule
  readonly memory: WasmMemory
  /**
   * The body of `serve(message)`, which gives an integer; sees the functions in `program`, `memory`, and `data`. Text and not a file, so
   * that it runs alike from sources, from a build and in a bundle: most of the work is in the program.
   */
  readonly serve: string
  readonly data: Readonly<Record<string, number>>
}

const textOf = (serve: string): string => `
const { parentPort, workerData } = require('node:worker_threads')
const { module, memory, data } = workerData
const program = new WebAssembly.Instance(module, { host: { memory } }).exports
const bytes = Buffer.from(memory.buffer)
const kept = {}
const serve = (message) => {${serve}}
parentPort.on('message', (message) => parentPort.postMessage(serve(message)))`

interface Waiting {
  resolve(result: number): void
  reject(error: unknown): void
}

export class ProgramThread {
  private readonly worker: Worker
  private readonly waiting: Waiting[] = []
  private closed = false
  /** Why it does not run (any more). */
  failure: LitestreamError | undefined

  constructor(private readonly options: ThreadOptions) {
    const { module, memory, data, serve } = options
    const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 }
    const workerData = { module, memory, data }
    this.worker = new Worker(textOf(serve), { eval: true, workerData, resourceLimits, execArgv: [] })
    // A content that is worth a thread is a long transfer.
    holdYoung()
    this.worker.on('online', keepYoungHeld)
    this.worker.on('message', (result: number) => {
      const { resolve } = this.waiting.shift() as Waiting
      if (this.waiting.length === 0) this.worker.unref()
      resolve(result)
    })
    this.worker.on('error', (error) => this.fail(error))
    this.worker.on('exit', () => this.fail(new Error('it has ended')))
    this.worker.unref()
  }

  /** What `serve` gives for the message. Rejects with LOCAL when the thread does not run (any more). */
  async call(message: Readonly<Record<string, number | boolean>>): Promise<number> {
    if (this.failure) throw this.failure
    const result = new Promise<number>((resolve, reject) => this.waiting.push({ resolve, reject }))
    this.worker.ref()
    this.worker.postMessage(message)
    return await result
  }

  /** Calls under way are given up. Never throws. */
  async close(): Promise<void> {
    if (!this.closed) releaseYoung()
    this.closed = true
    await this.worker.terminate().catch(() => undefined)
  }

  private fail(cause: unknown): void {
    const text = `the thread that ${this.options.what} does not run: ${messageOf(cause)}`
    this.failure ??= new LitestreamError('LOCAL', text, { cause })
    for (const { reject } of this.waiting.splice(0)) reject(this.failure)
  }
}
