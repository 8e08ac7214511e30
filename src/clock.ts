// Time as an argument, so that tests and the simulator need no sleeping.

import type { Moment } from './plan/snapshot-plan.js'

export interface Clock {
  /** Wall-clock time, milliseconds since 1970. */
  now(): number
  /** Monotonic time in milliseconds, with fractions. */
  monotonic(): number
}

/** For those who also wait: whatever an engine does later is done by one of these. */
export interface TimerClock extends Clock {
  /** Calls `then` once, after `ms` at least; the result cancels that. */
  after(ms: number, then: () => void): () => void
  /** Resolves when sockets and timers have had their turn. */
  turn(): Promise<void>
}

/** The present, on both clocks. */
export function present(clock: Clock): Moment {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() }
}

/** Timers cannot be set for longer: 24 days. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** Rejects with the signal's reason when it aborts first. */
export function wait(clock: TimerClock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(Math.min(ms, TIMER_MS_MAX), () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
    signal.addEventListener('abort', abort, { once: true })
  })
}

export const systemClock: TimerClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
  turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
}
