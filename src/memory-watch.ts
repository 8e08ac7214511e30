// Keeps a process that runs for months as small as what it holds: looks at its resident memory now and then, one read of /proc for the
// whole process, and has everything collected where collection-plan says so. Not for commands that end.

import type { TimerClock } from './clock.js'
import { collectAll } from './garbage.js'
import { collectNow, type SinceCollection } from './plan/collection-plan.js'

/** By the first look a daemon has read its configuration and loaded what it needs. */
const LOOK_INTERVAL_MS = 10_000

export interface MemoryWatchOptions {
  readonly clock: TimerClock
  readonly residentBytes?: () => number
  readonly collect?: () => void
}

export class MemoryWatch {
  private since: SinceCollection | undefined
  private cancel: (() => void) | undefined

  constructor(private readonly options: MemoryWatchOptions) {}

  start(): void {
    this.cancel ??= this.options.clock.after(LOOK_INTERVAL_MS, () => this.look())
  }

  /** Idempotent. */
  stop(): void {
    this.cancel?.()
    this.cancel = undefined
  }

  private look(): void {
    const { clock, residentBytes = process.memoryUsage.rss, collect = collectAll } = this.options
    const reading = { residentBytes: residentBytes(), atMs: clock.monotonic() }
    if (collectNow(reading, this.since)) {
      collect()
      const repeated = this.since?.repeated === false
      this.since = { collectedAtMs: clock.monotonic(), floorBytes: residentBytes(), repeated }
    } else if (this.since && reading.residentBytes < this.since.floorBytes) {
      this.since = { ...this.since, floorBytes: reading.residentBytes }
    }
    this.cancel = undefined
    this.start()
  }
}
