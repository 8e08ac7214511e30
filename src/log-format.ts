// The form of a log line as the original's users know it, and what must never be in one. Text, `key=value`:
//
//   time=2026-11-22T13:14:15.439Z level=INFO msg="initialized db" path=/data/app.db
//
// No package is needed for it, so that a command that only prints one error line does not load the logging library.

import { type Attributes, LogDuration } from './logger.js'
import { msToNanoseconds } from './model/duration.js'

export type Level = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR'

const REDACTED = '[redacted]'

/** Attributes of these names are never printed. */
const SECRET_NAME = /secret|password|passwd|passphrase|account-?key|private-?key|authorization|session-?token/i

export function formatTextLine(time: Date, level: Level, message: string, attributes: Attributes = {}): string {
  let line = `time=${formatTime(time)} level=${level} msg=${quoteWhereNeeded(message)}`
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue
    const text = isSecretName(name) ? REDACTED : textOf(value)
    line += ` ${quoteWhereNeeded(name)}=${quoteWhereNeeded(text)}`
  }
  return line
}

/** The same content as plain values for JSON: durations in nanoseconds, times and errors as text. */
export function jsonAttributes(attributes: Attributes): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) result[name] = isSecretName(name) ? REDACTED : jsonValueOf(value)
  }
  return result
}

/** RFC 3339 with milliseconds, in the local zone (`Z` for UTC). */
export function formatTime(time: Date): string {
  if (Number.isNaN(time.getTime())) return 'invalid-time'
  const offsetMinutes = -time.getTimezoneOffset()
  if (offsetMinutes === 0) return time.toISOString()
  const local = new Date(time.getTime() + offsetMinutes * 60_000).toISOString().slice(0, -1)
  const [hours, minutes] = [Math.trunc(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60]
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${twoDigits(hours)}:${twoDigits(minutes)}`
}

const twoDigits = (value: number): string => String(value).padStart(2, '0')

/** Removes every known secret from a finished line, also where it was escaped, twice even. Under 4 letters it hides nothing. */
export function redact(line: string, secrets: Iterable<string>): string {
  let result = line
  for (const secret of secrets) {
    if (secret.length < 4) continue
    const escaped = escapeOnce(secret)
    for (const form of new Set([escapeOnce(escaped), escaped, secret, encodeURIComponent(secret)])) {
      result = result.replaceAll(form, REDACTED)
    }
  }
  return result
}

const escapeOnce = (text: string): string => JSON.stringify(text).slice(1, -1)

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Date) return formatTime(value)
  if (value instanceof LogDuration) return value.toString()
  if (value instanceof Error) return value.message
  if (typeof value === 'object' && value !== null) return JSON.stringify(jsonValueOf(value))
  return String(value)
}

function jsonValueOf(value: unknown): unknown {
  if (value instanceof Date) return formatTime(value)
  if (value instanceof LogDuration) return Number(msToNanoseconds(value.ms))
  if (value instanceof Error) return value.message
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()
  if (Array.isArray(value)) return value.map(jsonValueOf)
  if (typeof value === 'object' && value !== null) return jsonAttributes(value as Attributes)
  return value
}

/** Go's slog leaves a word bare unless it is empty or has a space, `=`, `"`, or something that does not print. */
function quoteWhereNeeded(text: string): string {
  const bare = text !== '' && !/[\s="]/u.test(text) && /^[\p{L}\p{M}\p{N}\p{P}\p{S}]*$/u.test(text)
  return bare ? text : goQuote(text)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}

/** A Go string literal, as `%q` prints it. */
export function goQuote(text: string): string {
  let quoted = ''
  for (const character of text) {
    const code = character.codePointAt(0) as number
    if (ESCAPES[character]) quoted += ESCAPES[character]
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) quoted += character
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${hex(code, 2)}`
    else quoted += code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
  }
  return `"${quoted}"`
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
