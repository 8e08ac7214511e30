// Two duties that every client has towards byte streams: to stop waiting for a body when the signal aborts, and to release what
// a download holds, however its reader stops.

import { setMaxListeners } from 'node:events'
import { LitestreamError } from '../errors.js'

export function abortedError(signal: AbortSignal, what: string): LitestreamError {
  return new LitestreamError('ABORTED', `${what}: stopped on request`, { cause: signal.reason })
}

export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw abortedError(signal, what)
}

/** The values of `source`; rejects with ABORTED as soon as `signal` aborts, even while `source` is stuck. Ends `source` either way. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined,
  what: string,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      throwIfAborted(signal, what)
      const result = await orAborted(iterator.next(), signal, what)
      if (result.done) {
        ended = true
        return
      }
      yield result.value
    }
  } catch (error) {
    ended = !signal?.aborted // a source that threw has ended by itself
    throw error
  } finally {
    // Not awaited after an abort: a generator that is stuck would never answer.
    if (!ended) {
      const returned = Promise.resolve(iterator.return?.()).catch(() => {})
      if (!signal?.aborted) await returned
    }
  }
}

/**
 * Not a race with one promise that lives as long as the signal: that one would hold every value that ever won against it, and so all of
 * an upload in memory.
 */
export function orAborted<T>(value: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (!signal) return value
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal, what))
    listenForAbort(signal, onAbort)
    value.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** One daemon has one signal and any number of requests on it: that is no leak, and Node shall not warn of one. */
export function listenForAbort(signal: AbortSignal, onAbort: () => void): void {
  setMaxListeners(0, signal)
  signal.addEventListener('abort', onAbort, { once: true })
}

/** A controller of our own that also aborts when `signal` does. Release it when done. */
export function linkedController(signal: AbortSignal | undefined): {
  controller: AbortController
  release: () => void
} {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  const onAbort = (): void => controller.abort(signal?.reason)
  if (signal?.aborted) onAbort()
  else if (signal) listenForAbort(signal, onAbort)
  return { controller, release: () => signal?.removeEventListener('abort', onAbort) }
}

/** A signal that aborts `delayMs` after `signal` did, unless it was released before. */
export function delayedAbort(
  signal: AbortSignal | undefined,
  delayMs: number,
): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onAbort = (): void => {
    timer = setTimeout(() => controller.abort(signal?.reason), delayMs)
  }
  if (signal?.aborted) onAbort()
  else if (signal) listenForAbort(signal, onAbort)
  return {
    signal: controller.signal,
    release: () => {
      signal?.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    },
  }
}

/**
 * An iterable over `source` that calls `release` exactly once: at its end, on an error, on `return` (also before the first
 * `next`, where a generator's `finally` would not run), and when `signal` aborts.
 */
export function releasing<T>(
  source: AsyncIterator<T>,
  release: () => void | Promise<void>,
  signal: AbortSignal | undefined,
  what: string,
): AsyncIterableIterator<T> {
  let released: Promise<void> | undefined
  const onAbort = (): void => void letGo().catch(() => {})
  const letGo = (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort)
    released ??= Promise.resolve().then(release)
    return released
  }
  if (signal) listenForAbort(signal, onAbort)
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      if (signal?.aborted) throw abortedError(signal, what)
      if (released) return { done: true, value: undefined }
      try {
        const result = await source.next()
        if (result.done) await letGo()
        return result
      } catch (error) {
        await letGo().catch(() => {})
        throw signal?.aborted ? abortedError(signal, what) : error
      }
    },
    async return() {
      await letGo()
      return { done: true, value: undefined }
    },
  }
}

/** `source`, remembering the error that it throws, so that a client can tell the body's errors from its own. */
export function watched<T>(source: AsyncIterable<T>): {
  body: AsyncIterable<T>
  hasThrown: (error: unknown) => boolean
} {
  let thrown: { error: unknown } | undefined
  async function* body(): AsyncGenerator<T, void, undefined> {
    try {
      yield* source
    } catch (error) {
      thrown = { error }
      throw error
    }
  }
  return { body: body(), hasThrown: (error) => thrown?.error === error }
}
