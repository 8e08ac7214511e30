// Tells a follower that something may have happened to its files. chokidar watches the database and its `-wal` while the database
// is idle; its events are hints only: some get lost, and changes through a memory map make none. So whoever waits here also has
// a time limit, and looks for himself afterwards. While commits keep coming nobody needs hints, and to watch would cost more than
// to look: then the watch is given up.

import { watch } from 'chokidar'
import type { TimerClock } from '../clock.js'

/** So long without a pause, and the database counts as busy. */
const MUTE_AFTER_MS = 1000
/** A large transaction makes an event at every write long before there is anything to see. */
const HINTS_APART_MS = 10
/** Waits that are much longer end at multiples of it, those of all databases together: waking the process up costs more than a look. */
const TOGETHER_MS = 100

/** Calls `hint` at whatever happens to these files, until the result is called. */
export type WatchFiles = (paths: string[], hint: () => void) => () => Promise<void>

export const watchFiles: WatchFiles = (paths, hint) => {
  const watcher = watch(paths, { ignoreInitial: true, persistent: false, depth: 0 })
  watcher.on('raw', hint)
  watcher.on('all', hint)
  // What happened before the watch was ready.
  watcher.on('ready', hint)
  // What cannot be watched is polled.
  watcher.on('error', () => {})
  return () => watcher.close()
}

/** One coalesced signal: any number of hints between two waits are one. */
export class Wakeup {
  private pending = false
  private wake: (() => void) | undefined
  private unwatch: (() => Promise<void>) | undefined
  private restedMs = 0
  private hintedAtMs = Number.NEGATIVE_INFINITY
  private closed = false

  constructor(
    private readonly databasePath: string,
    private readonly clock: TimerClock,
    private readonly watch: WatchFiles,
  ) {}

  hint(): void {
    this.pending = true
    this.wake?.()
  }

  /** Resolves at the next hint (at once if one came since the last wait) or after `limitMs` (a long one up to 0.1 s sooner). True for a hint. */
  async wait(limitMs: number): Promise<boolean> {
    this.restedMs = 0
    this.listen()
    const apartMs = this.hintedAtMs + HINTS_APART_MS - this.clock.monotonic()
    if (apartMs > 0 && !this.closed) await new Promise<void>((resolve) => this.clock.after(apartMs, resolve))
    if (!this.pending) {
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(this.together(limitMs), resolve)
        this.wake = () => {
          cancel()
          resolve()
        }
      })
      this.wake = undefined
    }
    const hinted = this.pending
    if (hinted) this.hintedAtMs = this.clock.monotonic()
    this.pending = false
    return hinted
  }

  /** Waits `ms` whatever happens; hints that come meanwhile stay. */
  async rest(ms: number): Promise<void> {
    this.restedMs += ms
    if (this.restedMs > MUTE_AFTER_MS) await this.mute()
    await new Promise<void>((resolve) => this.clock.after(ms, resolve))
  }

  /** Waits `ms`, and whatever happened meanwhile is no reason to wake up. */
  async forgetAfter(ms: number): Promise<void> {
    await this.rest(ms)
    this.pending = false
  }

  /** The files at the paths may be others now: watch those from the next wait on. */
  async renew(): Promise<void> {
    await this.mute()
  }

  async close(): Promise<void> {
    this.closed = true
    this.hint()
    await this.mute()
  }

  private together(limitMs: number): number {
    if (limitMs < 5 * TOGETHER_MS) return limitMs
    const nowMs = this.clock.monotonic()
    return Math.floor((nowMs + limitMs) / TOGETHER_MS) * TOGETHER_MS - nowMs
  }

  private listen(): void {
    if (this.unwatch || this.closed) return
    const { databasePath } = this
    // Of a file that is not there chokidar watches the directory instead.
    this.unwatch = this.watch([databasePath, `${databasePath}-wal`], () => this.hint())
  }

  private async mute(): Promise<void> {
    const { unwatch } = this
    this.unwatch = undefined
    await unwatch?.()
  }
}
