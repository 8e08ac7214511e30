// The program's log: the only importer of pino. Lines are written synchronously, so that none is lost when the process ends; text
// by default, JSON by `logging.type`, to stdout unless `logging.stderr`.
//
//   text  time=2026-11-22T13:14:15.439Z level=INFO msg="initialized db" path=/data/app.db
//   json  {"time":"2026-11-22T13:14:15.439Z","level":"INFO","msg":"initialized db","path":"/data/app.db"}
//
// Secrets never appear: attributes with the name of one are masked (log-format), and every value in `secrets` is removed from
// the finished line. A reader that went away (EPIPE) silences the log and is told once, so that the daemon can stop gracefully.

import pino from 'pino'
import { formatTextLine, formatTime, jsonAttributes, type Level, redact } from './log-format.js'
import type { Attributes, Logger } from './logger.js'

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly type: 'text' | 'json'
  /** 1 for stdout, 2 for stderr; tests pass another. */
  readonly fd: number
  /** Values that must not be printed: secret keys, passwords. */
  readonly secrets?: readonly string[] | undefined
  /** Called once when nobody reads the log any more. */
  readonly onBrokenPipe?: (() => void) | undefined
  readonly now?: (() => Date) | undefined
}

export function createLogger(options: LogOptions): Logger {
  const now = options.now ?? (() => new Date())
  const output = openOutput(options)
  const write = (line: string): void => output(redact(line, options.secrets ?? []))

  // pino puts what `level` and `timestamp` give at the start of its line; with no level there and the time without a comma in
  // front, level and message follow as members of the logged object, in slog's order.
  const engine = pino(
    {
      level: options.level,
      base: null,
      formatters: { level: () => ({}) },
      timestamp: () => `"time":"${formatTime(now())}"`,
    },
    { write },
  )

  const log = (level: Level, message: string, bound: Attributes, attributes: Attributes | undefined): void => {
    const pinoLevel = PINO_LEVELS[level]
    if (!engine.isLevelEnabled(pinoLevel)) return
    const all = { ...bound, ...attributes }
    if (options.type === 'json')
      engine[pinoLevel](Object.assign({ level, msg: message }, jsonAttributes(all), { level, msg: message }))
    // JSON has no durations; text lines are made from the values themselves.
    else write(`${formatTextLine(now(), level, message, all)}\n`)
  }

  const loggerWith = (bound: Attributes): Logger => ({
    debug: (message, attributes) => log('DEBUG', message, bound, attributes),
    info: (message, attributes) => log('INFO', message, bound, attributes),
    warn: (message, attributes) => log('WARN', message, bound, attributes),
    error: (message, attributes) => log('ERROR', message, bound, attributes),
    child: (attributes) => loggerWith({ ...bound, ...attributes }),
  })
  return loggerWith({})
}

const PINO_LEVELS = { DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const

/** A blocking writer on the descriptor that never throws: a log that cannot be written must not stop replication. */
function openOutput(options: LogOptions): (line: string) => void {
  const destination = pino.destination({ fd: options.fd, sync: true })
  let broken = false
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' || broken) return
    broken = true
    options.onBrokenPipe?.()
  })
  return (line) => {
    if (!broken) destination.write(line)
  }
}
