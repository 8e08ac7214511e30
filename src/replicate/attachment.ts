// A follower's hold on a database that an application has open: looks at the WAL under a pin, and after every look does with the
// pin what plan/let-go-plan decides, so that no checkpoint of the application has to wait for us for long. What is read is copied
// at once (see Changeset), so letting go never waits for a replica.

import type { TimerClock } from '../clock.js'
import { LitestreamError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { WalCursor } from '../model/provenance.js'
import { type PinPlace, planHold, stepFrames, windowFrames } from '../plan/let-go-plan.js'
import { WalRate } from '../plan/wal-rate.js'
import type { ObservedFiles } from '../source/files.js'
import { LiveDatabase } from '../source/live-database.js'
import type { Source } from '../source/source.js'
import type { ChunkPool } from '../source/spool.js'
import { type WalReader, walReaders } from '../source/wal-readers.js'
import { FRAME_HEADER_BYTES } from '../sqlite/wal-format.js'
import { sameCycle, type WalIndexHeader } from '../sqlite/wal-index.js'
import { CheckpointMinder } from './checkpoint-minder.js'
import type { SourceStats } from './source-stats.js'
import { WalTracker } from './wal-tracker.js'
import { CheckpointWindow, type WindowTurns } from './window.js'
import { WriteBack } from './write-back.js'

export interface AttachmentOptions {
  /** The longest wait between two looks at an idle database. */
  readonly monitorIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly maxCheckpointPageCount: number
  readonly maxWalBytes: number
  readonly allowCheckpoint: boolean
  readonly source: Source
  readonly pool: ChunkPool
  readonly windowTurns: WindowTurns
  readonly spoolDirectory?: string | undefined
  readonly clock: TimerClock
  readonly log: Logger
}

/** Between two looks while commits keep coming, and at least: each look costs a fifth of a millisecond of processor. */
export const CALM_MS = 50
export const BUSY_MS = 20
/** While they come fast: what was written between two looks is what the application's next checkpoint does at once. */
const FAST_MS = 7
const FAST_BYTES_PER_SECOND = 8 << 20
/** After the last commit the database counts as busy for so long. */
const COOLING_MS = 250
/** How long a pin is let go at least for a checkpoint whose busy handler may be asleep; then until the next change. */
const RELEASE_MS = 150
/** Until SQLite is asked again for a pin that it refused. */
const REFUSED_MS = 2
/** The wal-index and the WAL contradict each other for longer than any writer needs. */
const CONTRADICTION_MS = 5000
const CONTRADICTION = 'the wal-index does not fit the WAL; the application may lock the database exclusively'

/** Why there is no attachment; `nobody`: because no application has the database open. */
export interface NotAttached {
  readonly reason: string
  readonly nobody: boolean
}

export class Attachment {
  private readonly window: CheckpointWindow
  private readonly minder: CheckpointMinder
  private readonly writeBack: WriteBack
  private readonly rate = new WalRate()
  private lastGrowthMs: number
  private contradictionSinceMs: number | undefined
  /** Of the look after which nothing was left to do, and nothing will be while it stays as it is. */
  private restsOn: WalIndexHeader | undefined

  private constructor(
    private readonly live: LiveDatabase,
    readonly tracker: WalTracker,
    private readonly options: AttachmentOptions,
    private readonly stats: SourceStats,
  ) {
    this.window = new CheckpointWindow(options.clock, options.windowTurns, stats)
    this.minder = new CheckpointMinder(options, stats)
    this.writeBack = new WriteBack(live.files)
    this.lastGrowthMs = options.clock.monotonic()
  }

  /** With `-wal` and `-shm` there. Everything but the database's own descriptor is given back when it does not work out. */
  static async open(
    files: ObservedFiles,
    pageSize: number,
    options: AttachmentOptions,
    stats: SourceStats,
  ): Promise<Attachment | NotAttached> {
    if (!files.openLive()) return { reason: 'the WAL was there a moment ago', nobody: true }
    const live = new LiveDatabase(files, options.source)
    let refusal: NotAttached
    try {
      if (!live.takePin() || files.replaced() !== undefined) {
        const reason = `SQLite refuses a read transaction (${live.lastRefusal}): locked exclusively, or being recovered`
        refusal = { reason, nobody: false }
      } else if (!live.attached()) {
        refusal = { reason: 'there is a WAL, but no application has the database open; waiting for it', nobody: true }
      } else {
        const tracker = new WalTracker(files, pageSize, {
          pool: options.pool,
          spoolDirectory: options.spoolDirectory,
          clock: options.clock,
          attached: () => live.attached(),
          protected: () => live.pin === 'read-mark',
        })
        if (await tracker.anchor()) return new Attachment(live, tracker, options, stats)
        refusal = { reason: CONTRADICTION, nobody: false }
      }
    } catch (error) {
      live.close()
      throw error
    }
    live.close()
    return refusal
  }

  /** Look, then decide about the pin; the result is how long the next look may wait. Throws SOURCE when it has to be opened anew. */
  async follow(): Promise<number> {
    const { live, tracker } = this
    const { clock, monitorIntervalMs, minCheckpointPageCount, maxWalBytes } = this.options
    const { restsOn } = this
    if (restsOn && live.files.walIndex() === restsOn) {
      await this.minder.mind(live, restsOn, clock.monotonic())
      return monitorIntervalMs
    }
    this.restsOn = undefined
    if (live.pin === 'none') {
      const header = live.files.walIndex()
      const { cursor } = tracker
      if (header && cursor && header.mxFrame === cursor.frames && sameCycle(header, cursor)) return monitorIntervalMs
    }
    if (!(await this.refresh())) return REFUSED_MS
    const header = tracker.lastHeader
    if (!header) return REFUSED_MS
    const nowMs = clock.monotonic()
    const frameBytes = FRAME_HEADER_BYTES + tracker.pageSize
    this.rate.see(header.mxFrame, frameBytes, nowMs)
    const isFast = this.rate.bytesPerSecond >= FAST_BYTES_PER_SECOND
    if (isFast) this.writeBack.see(header, frameBytes)
    if (await this.minder.mind(live, header, nowMs)) return REFUSED_MS
    const caughtUp = tracker.cursor?.frames === header.mxFrame
    const decision = planHold({
      pin: live.pin,
      caughtUp,
      frames: header.mxFrame,
      backfilled: header.backfilled,
      markFrames: live.markFrames,
      stepFrames: stepFrames(frameBytes),
      quietMs: nowMs - this.lastGrowthMs,
      windowFrames: windowFrames(this.rate.bytesPerSecond, frameBytes, minCheckpointPageCount, maxWalBytes),
      windowRestMs: this.window.restMs(),
    })
    if (decision === 'release') {
      live.releasePin()
      return RELEASE_MS
    }
    if (decision === 'leapfrog') {
      live.takePin(true)
      await this.look()
    } else if (decision === 'window') {
      await this.window.open(live, tracker, isFast)
      await this.look()
    }
    const quiet = live.pin === 'database' && clock.monotonic() - this.lastGrowthMs >= COOLING_MS
    if (quiet) {
      if (caughtUp && decision === 'hold') this.restsOn = header
      return monitorIntervalMs
    }
    if (isFast) return FAST_MS
    return Math.min(CALM_MS, Math.max(BUSY_MS, monitorIntervalMs))
  }

  /** Stand, pinned, at the newest commit. False when SQLite or the WAL do not let us at the moment. */
  async refresh(): Promise<boolean> {
    if (this.live.pin === 'none') {
      if (!this.live.takePin()) return false
    }
    await this.look()
    return this.tracker.cursor !== undefined
  }

  /** Read on. Loses continuity, and stands anew, where the rules say so. */
  private async look(): Promise<void> {
    const { tracker } = this
    const { clock, log } = this.options
    const before = tracker.cursor
    const look = await tracker.look()
    if (look.outcome === 'moved') {
      this.lastGrowthMs = clock.monotonic()
      this.count(before, tracker.cursor)
    } else if (look.outcome === 'lost') {
      this.stats.lose(look.reason)
      log.warn('lost sight of the WAL', { reason: look.reason })
    } else if (look.outcome === 'wait') {
      const nowMs = clock.monotonic()
      this.contradictionSinceMs ??= nowMs
      if (nowMs - this.contradictionSinceMs < CONTRADICTION_MS) return
      this.stats.lose(CONTRADICTION)
      log.warn('lost sight of the WAL', { reason: CONTRADICTION })
      tracker.lose(CONTRADICTION)
    }
    this.contradictionSinceMs = undefined
    if (!tracker.cursor && !(await tracker.anchor())) throw new LitestreamError('SOURCE', CONTRADICTION)
  }

  /** What SQLite's wal-index says now, whether or not anybody has read up to there; undefined while it is torn. */
  get walIndex(): WalIndexHeader | undefined {
    return this.live.files.walIndex()
  }

  /** Who reads the WAL now, this process included. */
  get readers(): WalReader[] {
    const { files } = this.live
    return walReaders(files.shmInode, files.readMarks?.() ?? [])
  }

  get pin(): PinPlace {
    return this.live.pin
  }

  private count(before: WalCursor | undefined, after: WalCursor | undefined): void {
    if (!before || !after) return
    const same = sameCycle(before, after)
    if (!same) this.stats.crossed++
    // Frames of the old cycle that were read while crossing are not in this sum; they are few.
    const frames = same ? after.frames - before.frames : after.frames
    this.stats.walBytes += frames * (FRAME_HEADER_BYTES + this.tracker.pageSize)
  }

  close(): void {
    this.live.close()
  }
}
