// A replica in memory: for tests, and the plainest reading of the contract.

import { Buffer } from 'node:buffer'
import { type Clock, systemClock } from '../clock.js'
import { LitestreamError } from '../errors.js'
import type { GetOptions, ObjectInfo, PutOptions, ReplicaClient } from './client.js'
import { checkKey, checkPrefix, compareKeys } from './keys.js'
import { throwIfAborted, untilAborted } from './streams.js'

interface StoredObject {
  readonly bytes: Buffer
  readonly modifiedAtMs: number
}

export class MemoryClient implements ReplicaClient {
  readonly type = 'memory'
  readonly url = 'memory://'
  readonly #objects = new Map<string, StoredObject>()
  readonly #clock: Clock

  readonly #ignoresIfAbsent: boolean

  /** `ignoresIfAbsent`: as some S3-compatible stores do. */
  constructor(options: { clock?: Clock; ignoresIfAbsent?: boolean } = {}) {
    this.#clock = options.clock ?? systemClock
    this.#ignoresIfAbsent = options.ignoresIfAbsent ?? false
  }

  async conditionalPuts(): Promise<boolean> {
    return !this.#ignoresIfAbsent
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix)
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys)
    for (const key of keys) {
      throwIfAborted(signal, `list ${this.url}${prefix}`)
      const stored = this.#objects.get(key)
      if (stored) yield infoOf(key, stored)
    }
    throwIfAborted(signal, `list ${this.url}${prefix}`)
  }

  async listNames(prefix: string, signal?: AbortSignal): Promise<string[]> {
    checkPrefix(prefix)
    throwIfAborted(signal, `list ${this.url}${prefix}`)
    const names = new Set<string>()
    for (const key of this.#objects.keys()) {
      const slash = key.startsWith(prefix) ? key.indexOf('/', prefix.length) : -1
      if (slash >= 0) names.add(key.slice(prefix.length, slash))
    }
    return [...names].sort(compareKeys)
  }

  async get(key: string, { signal, start = 0 }: GetOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    checkKey(key)
    const what = `get ${this.url}${key}`
    throwIfAborted(signal, what)
    const stored = this.#objects.get(key)
    if (!stored) throw new LitestreamError('NOT_FOUND', `${what}: no such object`)
    return chunksOf(stored.bytes.subarray(start), signal, what)
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, { signal, ifAbsent }: PutOptions = {}): Promise<ObjectInfo> {
    checkKey(key)
    const what = `put ${this.url}${key}`
    throwIfAborted(signal, what)
    const chunks: Buffer[] = []
    for await (const chunk of untilAborted(body, signal, what)) chunks.push(Buffer.from(chunk))
    throwIfAborted(signal, what)
    if (ifAbsent && !this.#ignoresIfAbsent && this.#objects.has(key))
      throw new LitestreamError('EXISTS', `${what}: there is such an object already`)
    const stored = { bytes: Buffer.concat(chunks), modifiedAtMs: this.#clock.now() }
    this.#objects.set(key, stored)
    return infoOf(key, stored)
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey)
    throwIfAborted(signal, `delete from ${this.url}`)
    for (const key of keys) this.#objects.delete(key)
  }

  async close(): Promise<void> {}
}

function infoOf(key: string, { bytes, modifiedAtMs }: StoredObject): ObjectInfo {
  return { key, size: bytes.length, modifiedAtMs }
}

const CHUNK_BYTES = 64 * 1024

async function* chunksOf(bytes: Buffer, signal: AbortSignal | undefined, what: string): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    throwIfAborted(signal, what)
    yield Uint8Array.from(bytes.subarray(start, start + CHUNK_BYTES)) // a copy: the reader may change it
  }
}
