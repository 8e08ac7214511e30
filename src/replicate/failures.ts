// Failures in a row of one replica: one error in the log when they begin, a warning when the reason becomes another, a line when
// they end, and the pause before the next try.

import type { Clock } from '../clock.js'
import { messageOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { backoffMs } from './backoff.js'

export class Failures {
  private count = 0
  private sinceMs = 0
  /** The newest failure; undefined when the last try worked. */
  last: unknown

  constructor(
    private readonly clock: Clock,
    private readonly randomHex: (bytes: number) => string,
    private readonly log: Logger,
  ) {}

  get failing(): boolean {
    return this.count > 0
  }

  /** The result is how long to wait before the next try, in milliseconds. */
  failed(error: unknown): number {
    if (this.count === 0) this.sinceMs = this.clock.monotonic()
    if (this.count === 0) this.log.error('monitor error', { error })
    else if (messageOf(error) !== messageOf(this.last)) this.log.warn('still failing, for another reason', { error })
    this.count++
    this.last = error
    return backoffMs(this.count, Number.parseInt(this.randomHex(4), 16) / 2 ** 32)
  }

  worked(): void {
    if (this.count === 0) return
    const elapsed = new LogDuration(this.clock.monotonic() - this.sinceMs)
    this.log.info('replica works again', { failures: this.count, elapsed })
    this.count = 0
    this.last = undefined
  }
}
