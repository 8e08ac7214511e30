// Tells how far a long transfer is: one line that is drawn over on a terminal, a log line now and then elsewhere. Says nothing
// during the first moments, so that short ones stay quiet. The rate is that of the whole transfer so far, and the time left
// follows from it; what a narrow terminal cannot hold is left away, the least important first.

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
  private startedAtMs: number
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

  /** Another transfer begins (or none does). */
  begin(): void {
    this.hide()
    this.startedAtMs = this.monotonic()
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
    const bytesPerMs = bytesDone / Math.max(1, nowMs - this.startedAtMs)
    const leftMs = (bytesTotal - bytesDone) / Math.max(1e-9, bytesPerMs)
    const parts = [
      `${this.label} ${String(percent).padStart(3)}%  ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`,
      `${formatBytes(bytesPerMs * 1000)}/s`,
      `${formatLeft(leftMs)} left`,
      `${objectsDone} of ${objectsTotal} objects`,
    ]
    const width = (this.output.columns || 80) - 1
    while (parts.length > 1 && parts.join('  ').length > width) parts.pop()
    this.output.write(`${CLEAR_LINE}${parts.join('  ').slice(0, width)}`)
    this.visible = true
  }

  hide(): void {
    if (this.visible) this.output.write(CLEAR_LINE)
    this.visible = false
  }
}

/** `8s`, `3m05s`, `2h14m`. */
export function formatLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds}s`
  const two = (value: number): string => String(value).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`
  return seconds < 360_000 ? `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m` : 'long'
}

export function formatBytes(bytes: number): string {
  let value = bytes
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`
    value /= 1024
  }
  return `${value.toFixed(1)} TiB`
}
