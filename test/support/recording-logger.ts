// A logger that keeps what it is told, as it is told.

import { type Attributes, type Logger, silentLogger } from '../../src/logger.js'

export interface RecordedLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly attributes: Attributes
}

export function recordingLogger(): { readonly lines: RecordedLine[]; readonly log: Logger } {
  const lines: RecordedLine[] = []
  const note =
    (level: RecordedLine['level']) =>
    (message: string, attributes: Attributes = {}) =>
      void lines.push({ level, message, attributes })
  return { lines, log: { ...silentLogger, info: note('info'), warn: note('warn'), error: note('error') } }
}
