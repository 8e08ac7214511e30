// An object store on the other side of a bad network: requests take their time and overtake each other, fail before or after they
// had an effect, have it long after the caller was told that they failed, and listings may lag behind. What one process sent goes on
// its way when the process dies.

import { LitestreamError } from '../../src/errors.js'
import type { GetOptions, ObjectInfo, PutOptions, ReplicaClient } from '../../src/replica/client.js'
import { checkKey, checkPrefix, compareKeys } from '../../src/replica/keys.js'
import { abortedError, listenForAbort, throwIfAborted, untilAborted } from '../../src/replica/streams.js'
import type { Random } from '../crash/random.js'
import type { Process, Scheduler } from './scheduler.js'

export interface StoredBytes {
  readonly key: string
  readonly bytes: Buffer
  readonly modifiedAtMs: number
  /** Before this moment of monotonic time it may be missing from listings. */
  readonly listedFromMs: number
}

/** How the store and the way to it are; drawn from the seed. */
export interface Weather {
  latencyMs: number
  /** Of each request. */
  failBefore: number
  failAfter: number
  /** Failed for the caller, and the effect comes later. */
  failLate: number
  lateMs: number
  truncate: number
}

export interface StoreOptions {
  /** Knows If-None-Match. */
  readonly conditional: boolean
  readonly listingLagMs: number
  /** Times of objects are whole seconds. */
  readonly wholeSeconds: boolean
}

export const FAIR: Weather = { latencyMs: 2, failBefore: 0, failAfter: 0, failLate: 0, lateMs: 0, truncate: 0 }

export class Store {
  readonly objects = new Map<string, StoredBytes>()
  weather: Weather = FAIR
  requests = 0
  /** Deleted, and not yet gone from all listings. */
  private lingering: { readonly object: StoredBytes; readonly untilMs: number }[] = []
  /** Told after every effect. */
  onPut: (object: StoredBytes, before: StoredBytes | undefined) => void = () => {}
  onDelete: (keys: readonly string[]) => void = () => {}
  /** Told when a caller hears that its upload is stored. */
  onAcknowledged: (object: StoredBytes) => void = () => {}

  constructor(
    readonly scheduler: Scheduler,
    readonly random: Random,
    readonly options: StoreOptions,
  ) {}

  put(key: string, bytes: Buffer, ifAbsent: boolean): StoredBytes | 'exists' {
    const before = this.objects.get(key)
    if (before && ifAbsent && this.options.conditional) return 'exists'
    const { scheduler, options } = this
    const wallMs = scheduler.trueWallMs()
    const modifiedAtMs = options.wholeSeconds ? Math.floor(wallMs / 1000) * 1000 : wallMs
    const object = { key, bytes, modifiedAtMs, listedFromMs: scheduler.monotonicMs + this.lagMs() }
    this.objects.set(key, object)
    scheduler.note(`store: ${key} (${bytes.length} bytes)${before ? ' again' : ''}`)
    this.onPut(object, before)
    return object
  }

  private lagMs(): number {
    const { listingLagMs } = this.options
    return listingLagMs > 0 ? this.random.below(listingLagMs) : 0
  }

  delete(keys: readonly string[]): void {
    const there = keys.filter((key) => this.objects.has(key))
    if (there.length === 0) return
    for (const key of there) {
      const object = this.objects.get(key) as StoredBytes
      if (this.options.listingLagMs > 0)
        this.lingering.push({ object, untilMs: this.scheduler.monotonicMs + this.lagMs() })
      this.objects.delete(key)
    }
    this.scheduler.note(`store: deleted ${there.join(', ')}`)
    this.onDelete(there)
  }

  /** In the order of the contract. `exactly`: what is there, and not what listings say of it. */
  list(prefix: string, exactly = false): StoredBytes[] {
    const nowMs = this.scheduler.monotonicMs
    this.lingering = this.lingering.filter(({ untilMs, object }) => untilMs > nowMs && !this.objects.has(object.key))
    const gone = exactly ? [] : this.lingering.map(({ object }) => object)
    return [...this.objects.values(), ...gone]
      .filter(({ key, listedFromMs }) => key.startsWith(prefix) && (exactly || listedFromMs <= nowMs))
      .sort((a, b) => compareKeys(a.key, b.key))
  }
}

const infoOf = ({ key, bytes, modifiedAtMs }: StoredBytes): ObjectInfo => ({ key, size: bytes.length, modifiedAtMs })

export class SimulatedClient implements ReplicaClient {
  readonly type = 's3'
  readonly url = 's3://simulated/'

  constructor(
    private readonly store: Store,
    private readonly process: Process,
  ) {}

  /** One request: `effect` happens once, at some time, and the caller hears of it or not. */
  private request<T>(what: string, effect: () => T, signal: AbortSignal | undefined): Promise<T> {
    const { store, process } = this
    const { scheduler, random, weather } = store
    store.requests++
    const there = random.next() * weather.latencyMs
    const back = random.next() * weather.latencyMs
    const dice = random.next()
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => reject(abortedError(signal as AbortSignal, what))
      const answer = (ms: number, tell: () => void) =>
        scheduler.after(ms, process, () => {
          signal?.removeEventListener('abort', onAbort)
          tell()
        })
      if (signal) listenForAbort(signal, onAbort)
      const broken = (how: string) => () => {
        scheduler.note(`${process.name}: ${what} failed, ${how}`)
        reject(new LitestreamError('STORAGE', `${what}: ${how}`))
      }
      let at = weather.failBefore
      if (dice < at) {
        answer(there, broken('connection refused'))
        return
      }
      const perform = (): T | LitestreamError => {
        try {
          return effect()
        } catch (error) {
          if (error instanceof LitestreamError) return error
          throw error
        }
      }
      // The effect belongs to nobody: it happens although its process dies.
      at += weather.failAfter
      if (dice < at) {
        scheduler.after(there, undefined, () => {
          perform()
          answer(back, broken('connection reset'))
        })
      } else if (dice < at + weather.failLate) {
        scheduler.after(there + random.below(weather.lateMs), undefined, perform)
        answer(there, broken('timeout'))
      } else {
        scheduler.after(there, undefined, () => {
          const result = perform()
          answer(back, () => (result instanceof LitestreamError ? reject(result) : resolve(result)))
        })
      }
    })
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix)
    throwIfAborted(signal, 'list')
    yield* (await this.request(`list ${prefix}`, () => this.store.list(prefix), signal)).map(infoOf)
  }

  async listNames(prefix: string, signal?: AbortSignal): Promise<string[]> {
    checkPrefix(prefix)
    throwIfAborted(signal, 'list')
    const objects = await this.request(`list ${prefix}`, () => this.store.list(prefix), signal)
    const names = objects.map(({ key }) => key.slice(prefix.length).split('/'))
    return [...new Set(names.filter((parts) => parts.length > 1).map(([name]) => name as string))]
  }

  async get(key: string, { signal, start = 0 }: GetOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    checkKey(key)
    throwIfAborted(signal, 'get')
    const { random, weather } = this.store
    const object = await this.request(`get ${key}`, () => this.store.objects.get(key), signal)
    if (!object) throw new LitestreamError('NOT_FOUND', `get ${key}: no such object`)
    const bytes = object.bytes.subarray(start)
    const cut = random.chance(weather.truncate) ? random.below(bytes.length + 1) : undefined
    return (async function* () {
      yield new Uint8Array(bytes.subarray(0, cut))
      if (cut !== undefined) throw new LitestreamError('STORAGE', `get ${key}: the connection broke`)
    })()
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, { signal, ifAbsent }: PutOptions = {}): Promise<ObjectInfo> {
    checkKey(key)
    const what = `put ${key}`
    throwIfAborted(signal, what)
    const chunks: Buffer[] = []
    for await (const chunk of untilAborted(body, signal, what)) chunks.push(Buffer.from(chunk))
    throwIfAborted(signal, what)
    const bytes = Buffer.concat(chunks)
    const effect = (): StoredBytes => {
      const stored = this.store.put(key, bytes, ifAbsent ?? false)
      if (stored === 'exists') throw new LitestreamError('EXISTS', `${what}: there is such an object already`)
      return stored
    }
    const stored = await this.request(what, effect, signal)
    this.store.onAcknowledged(stored)
    return infoOf(stored)
  }

  async conditionalPuts(scratchKey: string, signal?: AbortSignal): Promise<boolean> {
    return await this.request(`try ${scratchKey}`, () => this.store.options.conditional, signal)
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey)
    throwIfAborted(signal, 'delete')
    await this.request(`delete ${keys.length} objects`, () => this.store.delete(keys), signal)
  }

  async close(): Promise<void> {}
}
