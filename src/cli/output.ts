// What the commands print: tables and times as the original's, and the one line of a failure.

import { secretsIn } from '../config/secrets.js'
import { isLitestreamError, messageOf } from '../errors.js'
import { formatTextLine, redact } from '../log-format.js'
import type { Attributes } from '../logger.js'
import { formatMilliseconds } from '../model/duration.js'
import { formatMoment } from '../model/target.js'
import type { CommandIo } from './io.js'

const PADDING = 2
const PIECE_LENGTH = 1 << 16

/** Columns as wide as their widest cell and two spaces; the last one is not padded. Each line ends with a newline. */
export function formatTable(header: readonly string[], rows: Iterable<readonly string[]>): string {
  return [...tablePieces(header, rows)].join('')
}

/** The same in pieces of some hundred lines. `rows` is gone through twice, so that it need not be in memory as text. */
export function* tablePieces(header: readonly string[], rows: Iterable<readonly string[]>): Generator<string> {
  const widths = header.map(widthOf)
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      const width = widthOf(cell)
      if (width > (widths[column] as number)) widths[column] = width
    }
  }
  const last = header.length - 1
  const pad = (cell: string, column: number): string =>
    column === last ? cell : cell + ' '.repeat((widths[column] as number) + PADDING - widthOf(cell))
  let piece = `${header.map(pad).join('')}\n`
  for (const row of rows) {
    if (piece.length > PIECE_LENGTH) {
      yield piece
      piece = ''
    }
    piece += `${row.map(pad).join('')}\n`
  }
  yield piece
}

/** Characters, not units of UTF-16. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const widthOf = (cell: string): number => (/^[\x00-\x7f]*$/.test(cell) ? cell.length : [...cell].length)

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
