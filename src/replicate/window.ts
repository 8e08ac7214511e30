// The window: under steady writing everything is in the database file only at moments when nobody reads. So once in a while the
// pin is let go, the wal-index is watched closely, and the pin is taken again as soon as a checkpoint has finished or the WAL has
// restarted, or when patience has run out. One window at a time in a process, and a bounded share of its time.

import type { TimerClock } from '../clock.js'
import { nextWindowMs, WINDOW_CHECKPOINT_MS_MAX, WINDOW_MS_MIN } from '../plan/let-go-plan.js'
import type { LiveDatabase } from '../source/live-database.js'
import { sameCycle } from '../sqlite/wal-index.js'
import type { SourceStats } from './source-stats.js'
import type { WalTracker } from './wal-tracker.js'

/** At the beginning other work has to wait: under fast writing the moment lasts microseconds. */
const SPIN_MS = 0.5
/** At most this share of the time is spent in windows that bring nothing. */
const REST_FACTOR = 10
const REST_MS_MIN = 20

/** One window at a time among those that share it: the databases of a process. */
export class WindowTurns {
  private last: Promise<void> = Promise.resolve()

  /** Resolves when it is the caller's turn, with what ends it. */
  async take(): Promise<() => void> {
    const before = this.last
    let done = () => {}
    this.last = new Promise((resolve) => {
      done = resolve
    })
    await before
    return done
  }
}

export class CheckpointWindow {
  private windowMs = WINDOW_MS_MIN
  private notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(
    private readonly clock: TimerClock,
    private readonly turns: WindowTurns,
    private readonly stats: SourceStats,
  ) {}

  restMs(): number {
    return Math.max(0, this.notBeforeMs - this.clock.monotonic())
  }

  /** Opens and closes one window; afterwards the pin is held again, unless SQLite refuses it. */
  async open(live: LiveDatabase, tracker: WalTracker): Promise<void> {
    const cursor = tracker.cursor
    if (!cursor) return
    const done = await this.turns.take()
    try {
      const startMs = this.clock.monotonic()
      live.releasePin()
      const succeeded = await this.watch(live, cursor, startMs)
      live.takePin()
      this.stats.windows++
      if (succeeded) this.stats.windowsThatHelped++
      const tookMs = this.clock.monotonic() - startMs
      this.windowMs = nextWindowMs(this.windowMs, succeeded)
      this.notBeforeMs = this.clock.monotonic() + (succeeded ? 0 : Math.max(REST_MS_MIN, tookMs * REST_FACTOR))
    } finally {
      done()
    }
  }

  private async watch(live: LiveDatabase, cursor: { salt1: number; salt2: number }, startMs: number): Promise<boolean> {
    for (;;) {
      const header = live.files.walIndex()
      if (header && !sameCycle(header, cursor)) return true
      if (header && header.mxFrame > 0 && header.backfilled === header.mxFrame) return true
      const elapsedMs = this.clock.monotonic() - startMs
      const checkpointRunning = header !== undefined && header.backfillAttempted > header.backfilled
      if (elapsedMs > this.windowMs && !(checkpointRunning && elapsedMs < WINDOW_CHECKPOINT_MS_MAX)) return false
      if (elapsedMs > SPIN_MS) await this.clock.turn()
    }
  }
}
