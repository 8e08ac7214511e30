// How far the daemon's snapshots are: a line on a terminal that makes way for the log's, log lines now and then elsewhere.

import { systemClock } from '../clock.js'
import type { Logger } from '../logger.js'
import type { CommandIo } from './io.js'
import { ProgressLine } from './progress.js'

export class SnapshotProgress {
  private readonly lines = new Map<string, ProgressLine>()
  private log: Logger | undefined

  constructor(private readonly io: CommandIo) {}

  /** What to call while a snapshot of this database for this replica is copied. */
  of(path: string, replica: string): (doneBytes: number, totalBytes: number) => void {
    const key = `${path} ${replica}`
    return (bytesDone, bytesTotal) => {
      const line = this.lines.get(key) ?? new ProgressLine(`snapshot of ${path}`, this.io.stderr, systemClock.monotonic)
      this.lines.set(key, line)
      if (this.log) line.update({ bytesDone, bytesTotal, objectsDone: 0, objectsTotal: 1 }, this.log)
      if (bytesDone < bytesTotal) return
      line.hide()
      this.lines.delete(key)
    }
  }

  /** The logger to use in place of `log`, so that its lines do not end up behind a drawn one. */
  makeWayFor(log: Logger): Logger {
    const hide = (): void => {
      for (const line of this.lines.values()) line.hide()
    }
    const wrap = (inner: Logger): Logger => ({
      debug: (message, attributes) => {
        hide()
        inner.debug(message, attributes)
      },
      info: (message, attributes) => {
        hide()
        inner.info(message, attributes)
      },
      warn: (message, attributes) => {
        hide()
        inner.warn(message, attributes)
      },
      error: (message, attributes) => {
        hide()
        inner.error(message, attributes)
      },
      child: (attributes) => wrap(inner.child(attributes)),
    })
    this.log = wrap(log)
    return this.log
  }
}
