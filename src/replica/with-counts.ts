// A client that counts what is asked of another one: requests, failures and bytes by operation. A PUT is one object however many
// parts it takes, a LIST is a page of up to 1,000 keys, a DELETE a batch of as many: what the original counts.

import type { GetOptions, ObjectInfo, PutOptions, ReplicaClient } from './client.js'

export type Operation = 'PUT' | 'GET' | 'LIST' | 'DELETE'

export interface OperationCount {
  requests: number
  failures: number
  /** Stored bytes that were sent (PUT) or received (GET). */
  bytes: number
}

export type OperationCounts = Readonly<Record<Operation, OperationCount>>

const PAGE_KEYS = 1000

export class CountingClient implements ReplicaClient {
  readonly counts: OperationCounts = { PUT: zero(), GET: zero(), LIST: zero(), DELETE: zero() }

  constructor(private readonly client: ReplicaClient) {}

  get type(): ReplicaClient['type'] {
    return this.client.type
  }

  get url(): string {
    return this.client.url
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo> {
    const { LIST } = this.counts
    let keys = 0
    try {
      for await (const info of this.client.list(prefix, signal)) {
        if (keys++ % PAGE_KEYS === 0) LIST.requests++
        yield info
      }
      if (keys === 0) LIST.requests++
    } catch (error) {
      LIST.failures++
      throw error
    }
  }

  listNames(prefix: string, signal?: AbortSignal): Promise<string[]> {
    return this.counted('LIST', 1, () => this.client.listNames(prefix, signal))
  }

  async get(key: string, options?: GetOptions): Promise<AsyncIterable<Uint8Array>> {
    const { GET } = this.counts
    const body = await this.counted('GET', 1, () => this.client.get(key, options))
    return counting(body, (bytes) => {
      GET.bytes += bytes
    })
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<ObjectInfo> {
    const stored = await this.counted('PUT', 1, () => this.client.put(key, body, options))
    this.counts.PUT.bytes += stored.size
    return stored
  }

  /** Whatever it takes counts as one. */
  conditionalPuts(scratchKey: string, signal?: AbortSignal): Promise<boolean> {
    return this.counted('PUT', 1, async () => (await this.client.conditionalPuts?.(scratchKey, signal)) ?? true)
  }

  delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    return this.counted('DELETE', Math.ceil(keys.length / PAGE_KEYS), () => this.client.delete(keys, signal))
  }

  close(): Promise<void> {
    return this.client.close()
  }

  private async counted<T>(operation: Operation, requests: number, work: () => Promise<T>): Promise<T> {
    const count = this.counts[operation]
    try {
      const result = await work()
      count.requests += requests
      return result
    } catch (error) {
      count.failures++
      throw error
    }
  }
}

const zero = (): OperationCount => ({ requests: 0, failures: 0, bytes: 0 })

/** Passes everything on, `return` too: who stops early releases the connection. */
function counting(body: AsyncIterable<Uint8Array>, add: (bytes: number) => void): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const inner = body[Symbol.asyncIterator]()
      return {
        async next() {
          const result = await inner.next()
          if (!result.done) add(result.value.length)
          return result
        },
        async return(value) {
          return (await inner.return?.(value)) ?? { done: true, value: undefined }
        },
      }
    },
  }
}
