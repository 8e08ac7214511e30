// What the commands print: tables and times as the original's, and the one line of a failure.

import { secretsIn } from '../config/secrets.js'
import { isLitestreamError, messageOf } from '../errors.js'
import { formatTextLine, redact } from '../log-format.js'
import type { Attributes } from '../logger.js'
import { formatMilliseconds } from '../model/duration.js'
import { formatMoment } from '../model/target.js'
import type { CommandIo } from './io.js'

const PADDING = 2

/** Columns as wide as their widest cell and two spaces; the last one is not padded. Each line ends with a newline. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows]
  const widthOf = (line: readonly string[], column: number): number => [...(line[column] ?? '')].length
  // Not Math.max(...lines): a replica may have more objects than a call takes arguments.
  const widths = header.map((_, column) => lines.reduce((width, line) => Math.max(width, widthOf(line, column)), 0))
  const last = header.length - 1
  const pad = (cell: string, column: number): string =>
    column === last ? cell : cell + ' '.repeat((widths[column] as number) + PADDING - [...cell].length)
  return lines.map((line) => `${line.map(pad).join('')}\n`).join('')
}

/** RFC 3339 in whole seconds, UTC. */
export function formatSeconds(timeMs: number): string {
  return `${formatMoment(timeMs).slice(0, 19)}Z`
}

/** A lag as a Go duration, cut to what is worth reading: 12s, 2.6s, 224ms. */
export function formatLag(ms: number): string {
  const size = Math.abs(ms)
  const unitMs = size > 10_000 ? 1_000 : size > 1_000 ? 100 : size > 1 ? 1 : size > 0.001 ? 0.001 : 1e-6
  return formatMilliseconds(Math.trunc(ms / unitMs) * unitMs)
}

/** One line on stderr, in the form of the original's log. */
export function printError(io: CommandIo, message: string, attributes: Attributes): void {
  io.stderr.write(`${redact(formatTextLine(new Date(), 'ERROR', message, attributes), secretsIn(io.env))}\n`)
}

/** Why a command ended: one line for each problem of a configuration, one line for everything else. */
export function printFailure(io: CommandIo, error: unknown): void {
  if (isLitestreamError(error, 'CONFIG')) {
    for (const line of error.message.split('\n')) printError(io, 'failed to run', { error: line })
  } else if (isLitestreamError(error)) {
    printError(io, 'failed to run', { error: error.message })
  } else {
    // Not one of ours: a bug, and its stack is what a report needs.
    printError(io, 'failed to run', {
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    })
  }
}
