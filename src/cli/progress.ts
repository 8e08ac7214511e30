// Tells how far a long transfer is: one line that is drawn over on a terminal, a log line now and then elsewhere. Says nothing
// during the first moments, so that short ones stay quiet.

import type { Logger } from '../logger.js'
import type { TextOutput } from './io.js'

export interface TransferProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly objectsDone: number
  readonly objectsTotal: number
}

const TERMINAL_INTERVAL_MS = 200
const LOG_INTERVAL_MS = 10_000
const CLEAR_LINE = '\r\u001b[K'

export class ProgressLine {
  private readonly startedAtMs: number
  private shownAtMs: number
  private visible = false

  constructor(
    private readonly label: string,
    private readonly output: TextOutput,
    private readonly monotonic: () => number,
  ) {
    this.startedAtMs = monotonic()
    this.shownAtMs = this.startedAtMs
  }

  /** Write a log line; the progress line makes way for it. */
  writeLine(line: string): void {
    this.hide()
    this.output.write(line)
  }

  update(progress: TransferProgress, logger: Logger): void {
    const nowMs = this.monotonic()
    if (nowMs - this.shownAtMs < (this.output.isTTY ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS)) return
    this.shownAtMs = nowMs
    const { bytesDone, bytesTotal, objectsDone, objectsTotal } = progress
    const percent = Math.floor((bytesDone / Math.max(1, bytesTotal)) * 100)
    if (!this.output.isTTY) {
      logger.info(this.label, { percent, bytes: bytesDone, objects: objectsDone, of: objectsTotal })
      return
    }
    const rate = formatBytes((bytesDone / Math.max(1, nowMs - this.startedAtMs)) * 1000)
    const sizes = `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}, ${objectsDone} of ${objectsTotal} objects, ${rate}/s`
    const text = `${this.label} ${String(percent).padStart(3)}%  ${sizes}`
    this.output.write(`${CLEAR_LINE}${text.slice(0, (this.output.columns ?? 80) - 1)}`)
    this.visible = true
  }

  hide(): void {
    if (this.visible) this.output.write(CLEAR_LINE)
    this.visible = false
  }
}

export function formatBytes(bytes: number): string {
  let value = bytes
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`
    value /= 1024
  }
  return `${value.toFixed(1)} TiB`
}
