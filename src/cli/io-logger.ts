// A log on a command's own stderr, for commands whose stdout belongs to their result. Same lines as log.ts writes, without its
// package: a one-shot command needs no queue and no levels per module.

import { formatTextLine, jsonAttributes, type Level, redact } from '../log-format.js'
import type { Attributes, Logger } from '../logger.js'

export interface LineLogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly type: 'text' | 'json'
  /** Values that must not be printed. */
  readonly secrets: readonly string[]
  /** Takes a line with its newline. */
  readonly write: (line: string) => void
}

const ORDER: Readonly<Record<Level, number>> = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3 }

export function createLineLogger(options: LineLogOptions): Logger {
  const lowest = ORDER[options.level.toUpperCase() as Level]
  const loggerWith = (bound: Attributes): Logger => {
    const log = (level: Level, message: string, attributes: Attributes | undefined): void => {
      if (ORDER[level] < lowest) return
      const all = { ...bound, ...attributes }
      const now = new Date()
      const line =
        options.type === 'json'
          ? JSON.stringify({ time: now.toISOString(), level, msg: message, ...jsonAttributes(all) })
          : formatTextLine(now, level, message, all)
      options.write(`${redact(line, options.secrets)}\n`)
    }
    return {
      debug: (message, attributes) => log('DEBUG', message, attributes),
      info: (message, attributes) => log('INFO', message, attributes),
      warn: (message, attributes) => log('WARN', message, attributes),
      error: (message, attributes) => log('ERROR', message, attributes),
      child: (attributes) => loggerWith({ ...bound, ...attributes }),
    }
  }
  return loggerWith({})
}
