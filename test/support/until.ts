// Waiting for a condition instead of for a time. The only place in the tests that polls.

export interface UntilOptions {
  /** How long to wait before giving up; 30 s by default. A guard against hanging, not a measure of speed. */
  readonly timeoutMs?: number
  readonly intervalMs?: number
  /** What is waited for, for the error's text. */
  readonly what?: string
}

/** Resolves with the first truthy value of `condition`. One that throws counts as "not yet"; its last error becomes the cause. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, intervalMs = 20, what = condition.toString() }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() >= deadline) throw new Error(`gave up after ${timeoutMs} ms waiting for ${what}`, { cause })
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
