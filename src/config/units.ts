// Durations and sizes as the configuration writes them, with a problem text that says what to write instead.

import { nanosecondsToMs, parseDuration } from '../model/duration.js'

export type Parsed = { readonly value: number } | { readonly problem: string }

const DURATION_UNITS = 'units: h, m, s, ms, us, ns'

/** Milliseconds of `1h30m`. `plain` text without a unit counts nanoseconds in the original, which nobody means. */
export function parseDurationMs(text: string): Parsed {
  const parsed = parseDuration(text)
  if ('problem' in parsed) {
    if (/^[+-]?[\d_.]+$/.test(text)) {
      return {
        problem: `${text} has no unit (Litestream 0.3 takes it for nanoseconds); write ${text}s for seconds (${DURATION_UNITS})`,
      }
    }
    const days = /^(\d+)([dw])$/.exec(text)
    const instead = days ? `; write ${Number(days[1]) * (days[2] === 'd' ? 24 : 168)}h` : ''
    return { problem: `"${text}" is not a duration: ${parsed.problem}${instead} (${DURATION_UNITS})` }
  }
  if (parsed.nanoseconds < 0n) return { problem: `${text} must not be negative` }
  return { value: nanosecondsToMs(parsed.nanoseconds) }
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
}

/** Bytes of `128MiB`, `64 MB` or `1048576`. */
export function parseBytes(text: string): Parsed {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const unit = match ? SIZE_UNITS[(match[2] as string).toLowerCase()] : undefined
  const value = match && unit ? Math.floor(Number(match[1]) * unit) : Number.NaN
  if (!Number.isSafeInteger(value)) {
    return { problem: `"${text}" is not a size; write it like 128MiB (units: B, KiB, MiB, GiB, KB, MB, GB)` }
  }
  return { value }
}

/** The word of `known` that `word` was probably meant to be. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase().replaceAll('_', '-'), candidate)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** Levenshtein's: letters to insert, remove or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
