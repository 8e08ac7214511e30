// Outages of one replica, for the log and for whoever asks: one error when an outage begins, a warning when a reason is met that
// it did not have yet, one line when it is over with what happened in between; and the pause before the next try.
//
// An outage is over when what waited has been shipped. One that begins again within a minute says nothing until that minute has
// passed, so that a store which works every second time fills no log: its failures are counted into the next line.

import type { Clock } from '../clock.js'
import { kindOf, reasonOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { backoffMs } from './backoff.js'

/** Between two beginnings that are told. */
const QUIET_MS = 60_000
/** Under steady writing something always waits: so many shipped segments end an outage too. */
const SHIPPED_SEGMENTS = 2

interface Outage {
  readonly sinceMs: number
  failures: number
  readonly reasons: Map<string, number>
  told: boolean
  segments: number
  bytes: number
}

export class Failures {
  /** In a row. */
  private count = 0
  private outage: Outage | undefined
  /** The one before, when nothing was said of it. */
  private untold: Outage | undefined
  private toldAtMs = Number.NEGATIVE_INFINITY
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
    const nowMs = this.clock.monotonic()
    const { failures = 0, reasons = new Map<string, number>() } = this.untold ?? {}
    this.outage ??= { sinceMs: nowMs, failures, reasons, told: false, segments: 0, bytes: 0 }
    this.untold = undefined
    const { outage } = this
    const [kind, reason] = [kindOf(error), reasonOf(error)]
    const known = outage.reasons.get(reason) ?? 0
    outage.reasons.set(reason, known + 1)
    outage.failures++
    outage.segments = 0
    if (!outage.told && nowMs - this.toldAtMs >= QUIET_MS) {
      outage.told = true
      this.toldAtMs = nowMs
      this.log.error('monitor error', { error, kind })
    } else if (outage.told && known === 0) this.log.warn('still failing, for another reason', { error, kind })
    else this.log.debug('still failing', { error, kind })
    this.count++
    this.last = error
    return backoffMs(this.count, Number.parseInt(this.randomHex(4), 16) / 2 ** 32)
  }

  /** A segment or snapshot was acknowledged. */
  shipped(bytes: number): void {
    if (!this.outage) return
    this.outage.segments++
    this.outage.bytes += bytes
  }

  /** A step has worked. `caughtUp`: nothing waits any more. */
  worked(caughtUp: boolean): void {
    this.count = 0
    this.last = undefined
    if (this.outage && (caughtUp || this.outage.segments >= SHIPPED_SEGMENTS)) this.over(this.outage)
  }

  /** The end of the line: an outage whose end was not seen to the last is told all the same when something had worked again. */
  close(): void {
    if (this.outage && this.count === 0) this.over(this.outage)
  }

  private over(outage: Outage): void {
    const { told, sinceMs, failures, reasons, bytes } = outage
    this.outage = undefined
    this.untold = told ? undefined : outage
    if (!told) return
    const elapsed = new LogDuration(this.clock.monotonic() - sinceMs)
    const why = [...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')
    this.log.info('replica works again', { elapsed, failures, reasons: why, shipped: bytes })
  }
}
