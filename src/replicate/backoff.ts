// How long to wait before the next try: doubled from one second up to a ceiling, with jitter, so that many daemons do not come back
// at the same moment.

export const BACKOFF_MS_MIN = 1000
export const BACKOFF_MS_MAX = 30_000

/** `failures` counts from 1; `random` is in [0, 1). */
export function backoffMs(failures: number, random: number): number {
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 10))
  return ceiling / 2 + (ceiling / 2) * random
}
