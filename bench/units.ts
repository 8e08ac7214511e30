// How figures are written in tables. Figures themselves are milliseconds, seconds, bytes and counts.

export type Unit = 'count' | 'ms' | 's' | 'bytes' | 'percent' | 'exponent' | 'yes' | 'dollars'

export const grouped = (value: number): string => Math.round(value).toLocaleString('en-US')

/** Three digits that count, without an exponent. */
const short = (value: number): string => (value < 100 ? String(Number(value.toPrecision(2))) : grouped(value))

const FORMATS: Readonly<Record<Unit, (value: number) => string>> = {
  count: (value) => (value < 10 && !Number.isInteger(value) ? value.toFixed(1) : grouped(value)),
  ms: (value) => `${short(value)} ms`,
  s: (value) => `${value < 100 ? value.toFixed(2) : grouped(value)} s`,
  bytes: (value) => (value < 1e5 ? `${(value / 1e3).toFixed(1)} KB` : megabytes(value)),
  percent: (value) => `${short(value)} %`,
  exponent: (value) => value.toFixed(2),
  yes: (value) => (value === 1 ? 'yes' : value === 0 ? 'no' : `${grouped(value * 100)} %`),
  dollars: (value) => `$${value < 1 ? value.toFixed(3) : value.toFixed(2)}`,
}

const megabytes = (value: number): string => `${value < 1e7 ? (value / 1e6).toFixed(1) : grouped(value / 1e6)} MB`

export const format = (unit: Unit, value: number): string => FORMATS[unit](value)
