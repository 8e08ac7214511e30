// Fetches objects ahead of their use, several at a time, and hands them out in order. Small objects are fetched whole while others
// are still in use; what has been fetched and not yet used stays under a budget of bytes. An object over `wholeBytesMax` is not
// held: its turn comes, and then it is streamed.
//
// `stop` ends everything that is under way and resolves when nothing is left running. Call it in `finally`.

import type { ReplicaClient } from '../replica/client.js'
import { readObject } from './resuming.js'

export interface PrefetchOptions {
  /** Requests at the same time. */
  readonly parallelism: number
  readonly signal?: AbortSignal | undefined
  readonly wholeBytesMax?: number | undefined
  readonly budgetBytes?: number | undefined
}

interface Fetchable {
  readonly key: string
  readonly size: number
}

const WHOLE_BYTES_MAX = 8 * 1024 * 1024
const BUDGET_BYTES = 64 * 1024 * 1024

export class Prefetch<T extends Fetchable> {
  private readonly waiting = new Map<number, Promise<readonly Uint8Array[]>>()
  private readonly cancel = new AbortController()
  private readonly signal: AbortSignal
  private readonly wholeBytesMax: number
  private readonly budgetBytes: number
  private started = 0
  private inFlight = 0
  private heldBytes = 0

  constructor(
    private readonly client: ReplicaClient,
    private readonly objects: readonly T[],
    private readonly options: PrefetchOptions,
  ) {
    const { signal, wholeBytesMax = WHOLE_BYTES_MAX, budgetBytes = BUDGET_BYTES } = options
    this.signal = signal ? AbortSignal.any([signal, this.cancel.signal]) : this.cancel.signal
    this.wholeBytesMax = wholeBytesMax
    this.budgetBytes = budgetBytes
    this.pump()
  }

  /** Each object with its stored bytes, in order. The bytes of one must be read before the next is asked for. */
  async *[Symbol.asyncIterator](): AsyncGenerator<{ object: T; bytes: AsyncIterable<Uint8Array> }, void, undefined> {
    for (const [place, object] of this.objects.entries()) {
      if (object.size > this.wholeBytesMax) {
        yield { object, bytes: readObject(this.client, object, this.signal) }
        continue
      }
      const held = this.waiting.get(place)
      if (!held) throw new RangeError('an object was asked for before its turn')
      const chunks = await held
      yield { object, bytes: inChunks(chunks) }
      this.waiting.delete(place)
      this.heldBytes -= object.size
      this.pump()
    }
  }

  async stop(): Promise<void> {
    this.cancel.abort()
    this.started = this.objects.length
    await Promise.allSettled(this.waiting.values())
    this.waiting.clear()
  }

  private pump(): void {
    while (this.started < this.objects.length && this.inFlight < this.options.parallelism) {
      const object = this.objects[this.started] as T
      if (object.size > this.wholeBytesMax) {
        this.started++
        continue
      }
      // With nothing held, even an object over the budget may come: else nothing ever would.
      if (this.heldBytes > 0 && this.heldBytes + object.size > this.budgetBytes) return
      this.start(this.started++, object)
    }
  }

  private start(place: number, object: T): void {
    this.inFlight++
    this.heldBytes += object.size
    const fetched = this.fetch(object).finally(() => {
      this.inFlight--
      this.pump()
    })
    fetched.catch(() => {}) // reported when its turn comes
    this.waiting.set(place, fetched)
  }

  private async fetch(object: T): Promise<readonly Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for await (const chunk of readObject(this.client, object, this.signal)) chunks.push(chunk)
    return chunks
  }
}

async function* inChunks(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks
}
