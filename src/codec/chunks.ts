// Bytes that arrive in pieces of any size: taking them from a source that may hang or be given up, and reading exact numbers
// of them. Owns the source's iterator: whoever makes a ChunkReader closes it, on success and on failure.

import { LitestreamError } from '../errors.js'

/** Throws ABORTED when `signal` says so; `what` completes "stopped while ...". */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw stopped(signal, what)
}

function stopped(signal: AbortSignal, what: string): LitestreamError {
  return new LitestreamError('ABORTED', `stopped while ${what}`, { cause: signal.reason })
}

export class ChunkReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  readonly #what: string
  #chunk: Uint8Array = new Uint8Array(0)
  #ended = false
  #isPulling = false

  /** `what` completes "stopped while ...". */
  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined, what: string) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#signal = signal
    this.#what = what
  }

  /** The next bytes, at least one and at most `bytesMax`; undefined at the end. Valid until the next call. */
  async next(bytesMax: number): Promise<Uint8Array | undefined> {
    throwIfAborted(this.#signal, this.#what)
    while (this.#chunk.length === 0) {
      if (this.#ended) return undefined
      const result = await this.#pull()
      if (result.done) this.#ended = true
      else this.#chunk = result.value
    }
    const taken = this.#chunk.subarray(0, bytesMax)
    this.#chunk = this.#chunk.subarray(taken.length)
    return taken
  }

  /** Fill `target` from `from` on; gives the number of bytes put there, fewer than asked for only at the end. */
  async fill(target: Buffer, from = 0): Promise<number> {
    let to = from
    while (to < target.length) {
      const bytes = await this.next(target.length - to)
      if (bytes === undefined) break
      // Not `set`: V8 copies into memory that threads share byte by byte where source and target are not aligned alike.
      target.fill(bytes, to, to + bytes.length)
      to += bytes.length
    }
    return to - from
  }

  /** Let the source go, and wait until it has, unless it hangs. Never throws: whoever closes has a result or an error. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    try {
      const returned = this.#iterator.return?.()
      // A source that was given up while it was asked for bytes can only go when it has answered.
      if (this.#isPulling) returned?.catch(() => undefined)
      else await returned
    } catch {}
  }

  async #pull(): Promise<IteratorResult<Uint8Array>> {
    this.#isPulling = true
    const next = this.#iterator.next()
    next.then(
      () => this.#pulled(),
      () => this.#pulled(),
    )
    return this.#signal === undefined ? await next : await this.#orAborted(next, this.#signal)
  }

  #pulled(): void {
    this.#isPulling = false
  }

  #orAborted<T>(next: Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(stopped(signal, this.#what))
      signal.addEventListener('abort', onAbort, { once: true })
      next.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }
}
