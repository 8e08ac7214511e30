// Durations as Go writes and reads them (`1h30m`, `959.835µs`): the notation of the configuration, the logs and the tables.
//
// Values are whole nanoseconds in a signed 64-bit integer, as in Go; parseDuration(formatDuration(x)) = x for every one of them.
// The rest of the program counts in milliseconds: formatMilliseconds and nanosecondsToMs lie between the two.

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  '\u00b5s': 1_000n, // micro sign
  '\u03bcs': 1_000n, // Greek mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

export const DURATION_MAX = 2n ** 63n - 1n
export const DURATION_MIN = -(2n ** 63n)

export type ParsedDuration = { readonly nanoseconds: bigint } | { readonly problem: string }

/** The nanoseconds, or what is wrong with the text in a few words. */
export function parseDuration(text: string): ParsedDuration {
  const negative = text.startsWith('-')
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return { nanoseconds: 0n }
  if (rest === '') return { problem: 'no number in it' }
  let total = 0n
  while (rest !== '') {
    const part = /^(\d*)(?:\.(\d*))?([^\d.]*)/.exec(rest) as RegExpExecArray
    const [whole, fraction, unit] = [part[1] as string, part[2] ?? '', part[3] as string]
    if (whole === '' && fraction === '') return { problem: 'a number is missing' }
    if (unit === '') return { problem: 'a unit is missing' }
    const size = Object.hasOwn(NANOSECONDS, unit) ? NANOSECONDS[unit] : undefined
    if (size === undefined) return { problem: `unknown unit ${JSON.stringify(unit)}` }
    total += BigInt(whole || '0') * size + fractionOf(fraction, size)
    rest = rest.slice(part[0].length)
  }
  const nanoseconds = negative ? -total : total
  if (nanoseconds > DURATION_MAX || nanoseconds < DURATION_MIN) return { problem: 'too large' }
  return { nanoseconds }
}

/** As Go computes it, in floating point: digits past the 64 bits are dropped, what is finer than a nanosecond is cut off. */
function fractionOf(digits: string, size: bigint): bigint {
  let value = 0n
  let scale = 1
  for (const digit of digits) {
    if (value > DURATION_MAX / 10n) break
    value = value * 10n + BigInt(digit)
    scale *= 10
  }
  return BigInt(Math.trunc(Number(value) * (Number(size) / scale)))
}

/** `0s`, `959.835µs`, `2.6s`, `1m49s`, `2562047h47m16.854775807s`. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds < 0n) return `-${formatDuration(-nanoseconds)}`
  if (nanoseconds === 0n) return '0s'
  if (nanoseconds < 1_000n) return `${nanoseconds}ns`
  if (nanoseconds < 1_000_000n) return `${decimal(nanoseconds, 3)}\u00b5s`
  if (nanoseconds < 1_000_000_000n) return `${decimal(nanoseconds, 6)}ms`
  const minutes = nanoseconds / 60_000_000_000n
  const seconds = `${decimal(nanoseconds % 60_000_000_000n, 9)}s`
  if (minutes === 0n) return seconds
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`
}

/** `value` / 10^`places` without trailing zeros. */
function decimal(value: bigint, places: number): string {
  const scale = 10n ** BigInt(places)
  const fraction = (value % scale).toString().padStart(places, '0').replace(/0+$/, '')
  return fraction === '' ? `${value / scale}` : `${value / scale}.${fraction}`
}

/** Milliseconds, with fractions, to nanoseconds; beyond the 64 bits it stays at the limit. */
export function msToNanoseconds(ms: number): bigint {
  if (Number.isNaN(ms)) return 0n
  if (Math.abs(ms) >= Number(DURATION_MAX) / 1e6) return ms > 0 ? DURATION_MAX : DURATION_MIN
  const whole = Math.trunc(ms)
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6))
}

export function nanosecondsToMs(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6
}

export function formatMilliseconds(ms: number): string {
  return formatDuration(msToNanoseconds(ms))
}
