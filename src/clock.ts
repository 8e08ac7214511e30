// Time as an argument, so that tests and the simulator need no sleeping.

import { bootId } from './boot.js'
import type { Uptime } from './model/provenance.js'
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
  /** What `monotonic` says, and on whose clock. */
  uptime(): Uptime
  /** Resolves when sockets and timers have had their turn. */
  turn(): Promise<void>
}

/** The present, on both clocks. */
export function present(clock: Clock): Moment {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() }
}

/** Milliseconds that have passed, at most: a machine that was suspended may tell by its wall clock only. */
export function elapsedMs(since: Moment, now: Moment): number {
  return Math.max(Math.abs(now.wallMs - since.wallMs), now.monotonicMs - since.monotonicMs)
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

/** Of the machine, and not of this process. */
function uptimeMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export const systemClock: TimerClock = {
  now: () => Date.now(),
  monotonic: uptimeMs,
  uptime: () => ({ boot: bootId(), ms: uptimeMs() }),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
  turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
}
