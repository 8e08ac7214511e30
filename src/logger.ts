// What the engines log with: four levels, a message, attributes. They know this interface and nothing of where the lines go;
// log.ts writes them, and tests pass `silentLogger` or their own.

import { formatMilliseconds } from './model/duration.js'

/**
 * Names and values of a log line. A Date is printed as a time, a LogDuration as a duration, an Error as its message; what is
 * undefined is left out.
 */
export type Attributes = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, attributes?: Attributes): void
  info(message: string, attributes?: Attributes): void
  warn(message: string, attributes?: Attributes): void
  error(message: string, attributes?: Attributes): void
  /** A logger that puts `attributes` before those of every line. */
  child(attributes: Attributes): Logger
}

/** A duration among attributes: `959.835µs` in text, whole nanoseconds in JSON. */
export class LogDuration {
  constructor(readonly ms: number) {}

  toString(): string {
    return formatMilliseconds(this.ms)
  }
}

const nothing = (): void => undefined

export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
}
