// Time as an argument, so that tests and the simulator need no sleeping.

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

export const systemClock: TimerClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
  turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
}
