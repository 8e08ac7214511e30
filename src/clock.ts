// Time as an argument, so that tests and the simulator need no sleeping.

export interface Clock {
  /** Wall-clock time, milliseconds since 1970. */
  now(): number
  /** Monotonic time in milliseconds, with fractions. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
