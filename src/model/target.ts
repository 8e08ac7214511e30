// What to restore to, and RFC 3339 times, the form in which a person names a moment.

/** `index` means the end of that index, `atMs` the last state that was observed by then (milliseconds since 1970). */
export type RestoreTarget =
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly atMs: number }
  | { readonly kind: 'index'; readonly index: number }

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/

/** Milliseconds since 1970, with a fraction where the text has one below the millisecond; undefined for any other text. */
export function parseRfc3339(text: string): number | undefined {
  const match = RFC3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  date.setUTCHours(hour, minute, second)
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000 * (match[8] === '-' ? -1 : 1)
  return date.getTime() - offsetMs + (match[7] ? Number(`0.${match[7]}`) * 1000 : 0)
}

/** The last moment that a Date can be, and the first one below zero. */
export const MOMENT_MAX_MS = 8.64e15

/** `2026-11-22T13:14:15.439Z`. What no Date can be stays at the limit: storage may claim any time. */
export function formatMoment(atMs: number): string {
  const within = Math.min(Math.max(Math.floor(atMs) || 0, -MOMENT_MAX_MS), MOMENT_MAX_MS)
  return new Date(within).toISOString()
}
