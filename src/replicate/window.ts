// The window: under steady writing everything is in the database file only at moments when nobody reads. So once in a while the
// pin is let go, the wal-index is watched closely, and the pin is taken again as soon as a checkpoint has finished or the WAL has
// restarted, or when patience has run out. One window at a time in a process, and a bounded share of its time.

import type { TimerClock } from '../clock.js'
import type { WalCursor } from '../model/provenance.js'
import { nextWindowMs, WINDOW_CHECKPOINT_MS_MAX, WINDOW_MS_MIN } from '../plan/let-go-plan.js'
import type { LiveDatabase } from '../source/live-database.js'
import { sameCycle } from '../sqlite/wal-index.js'
import type { SourceStats } from './source-stats.js'
import type { WalTracker } from './wal-tracker.js'

/** At the beginning other work has to wait: under fast writing the moment lasts microseconds. */
const SPIN_MS = 0.5
/** At most a tenth of the time is spent in windows that bring nothing; but the WAL grows while we rest. */
const REST_FACTOR = 10
const REST_MS_MIN = 20
const REST_MS_MAX = 100
/** A checkpoint sorts the frames of the WAL before it can be seen. */
const SORTED_FRAMES_PER_MS = 4000

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
  /** How long the last checkpoint ran that a window was open for. */
  private checkpointMs = 0

  constructor(
    private readonly clock: TimerClock,
    private readonly turns: WindowTurns,
    private readonly stats: SourceStats,
  ) {}

  restMs(): number {
    return Math.max(0, this.notBeforeMs - this.clock.monotonic())
  }

  /**
   * Opens and closes one window; afterwards the pin is held again, unless SQLite refuses it. `closely`: with the processor's whole
   * attention, for an application that commits so fast that the moment between two commits is all there is.
   */
  async open(live: LiveDatabase, tracker: WalTracker, closely: boolean): Promise<void> {
    const cursor = tracker.cursor
    if (!cursor) return
    const done = await this.turns.take()
    try {
      const startMs = this.clock.monotonic()
      live.releasePin()
      const succeeded = await this.watch(live, cursor, startMs, closely)
      live.takePin()
      this.stats.windows++
      if (succeeded) this.stats.windowsThatHelped++
      const tookMs = this.clock.monotonic() - startMs
      this.windowMs = nextWindowMs(this.windowMs, succeeded)
      const restMs = Math.min(REST_MS_MAX, Math.max(REST_MS_MIN, tookMs * REST_FACTOR))
      this.notBeforeMs = this.clock.monotonic() + (succeeded ? 0 : restMs)
    } finally {
      done()
    }
  }

  private async watch(live: LiveDatabase, cursor: WalCursor, startMs: number, closely: boolean): Promise<boolean> {
    const { clock } = this
    const patienceMs = Math.max(this.windowMs, cursor.frames / SORTED_FRAMES_PER_MS)
    // A checkpoint that began before the window cannot get to the end of the WAL; the next one can. So patience counts while none runs.
    let idleSinceMs = startMs
    let runningSinceMs: number | undefined
    for (;;) {
      const header = live.files.walIndex()
      const nowMs = clock.monotonic()
      const restarted = header && !sameCycle(header, cursor)
      if (restarted || (header && header.mxFrame > 0 && header.backfilled === header.mxFrame)) {
        if (runningSinceMs !== undefined) this.checkpointMs = nowMs - runningSinceMs
        return true
      }
      const running = header !== undefined && header.backfillAttempted > header.backfilled
      if (running) {
        idleSinceMs = nowMs
        runningSinceMs ??= nowMs
      } else runningSinceMs = undefined
      if (nowMs - idleSinceMs > patienceMs || nowMs - startMs > WINDOW_CHECKPOINT_MS_MAX) return false
      // The moment that counts is the checkpoint's end; until it comes near, the processor is others'.
      const nearEnd = runningSinceMs === undefined || nowMs - runningSinceMs >= this.checkpointMs / 2
      if (!nearEnd || !closely) await new Promise<void>((resolve) => clock.after(1, resolve))
      else if (nowMs - startMs > SPIN_MS) await clock.turn()
    }
  }
}
