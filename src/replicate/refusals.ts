// How long to wait after an attempt to attach that was refused. Soon again at first (somebody holds a lock for a moment), then ever
// more rarely: each attempt costs a connection. A change of the files wakes the follower at any time.

const PAUSE_MS_MIN = 100
const PAUSE_MS_MAX = 10_000

export class Refusals {
  private count = 0
  /** In this round of the follower's loop. */
  justNow = false

  /** In a row so far, with this one. `limitMs` bounds the first few: nobody asked to be looked at more rarely than that. */
  pauseMs(limitMs: number): number {
    this.justNow = true
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 1.5 ** this.count++)
    return this.count <= 10 ? Math.min(pauseMs, limitMs) : pauseMs
  }

  reset(): void {
    this.count = 0
  }
}
