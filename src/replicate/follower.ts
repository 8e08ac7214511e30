// One database, from the outside: waits for it, attaches, reads every commit, and lets go of it in time. A single loop runs all of
// it, so there are no races inside; whoever wants something from the source (a replica that joins, a snapshot that begins or ends)
// puts a request into that loop.
//
//   missing ──► waiting ──► quiescent ⇄ attached        (any of them falls back to waiting or missing, with the reason)
//
//   missing    there is no file
//   waiting    there is one, but it cannot be observed now: not in WAL mode, not SQLite, locked, its application is dead, ...
//   quiescent  WAL mode and no WAL: the file itself is the state, recognised by its stamp
//   attached   an application has it open; we follow its WAL under pins
//
// After every look at the WAL, plan/let-go-plan decides what happens to the pin. What is read is copied at once (see Changeset),
// so letting go never waits for a replica.

import type { Clock } from '../clock.js'
import { isLitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import type { FileStamp } from '../model/provenance.js'
import { growsUnchecked } from '../plan/checkpoint-plan.js'
import { planHold, windowFrames } from '../plan/let-go-plan.js'
import { passiveCheckpoint } from '../source/checkpointer.js'
import { DatabaseFiles } from '../source/files.js'
import { LiveDatabase } from '../source/live-database.js'
import type { ChunkPool } from '../source/spool.js'
import { Wakeup } from '../source/wakeup.js'
import { FRAME_HEADER_BYTES } from '../sqlite/wal-format.js'
import type { WalIndexHeader } from '../sqlite/wal-index.js'
import type { Sink, SourceState } from './sink.js'
import { WalTracker } from './wal-tracker.js'
import { CheckpointWindow } from './window.js'

export type FollowerStatus = 'missing' | 'waiting' | 'quiescent' | 'attached'

export interface FollowerOptions {
  readonly path: string
  readonly monitorIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly maxCheckpointPageCount: number
  readonly maxWalBytes: number
  readonly allowCheckpoint: boolean
  readonly pool: ChunkPool
  readonly spoolDirectory?: string | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** Between two looks while commits keep coming. */
const BUSY_MS = 20
/** How long a pin is let go at least for a checkpoint whose busy handler may be asleep; then until the next change. */
const RELEASE_MS = 150
/** A database file must have been left alone for this long before it is read without a WAL. */
const SETTLED_MS = 1000
const SETTLING = 'the database was closed a moment ago'
const STOPPED = 'stopped'
const RATE_HALF_LIFE_MS = 300
/** The wal-index and the WAL contradict each other for longer than any writer needs. */
const CONTRADICTION_MS = 5000

export class Follower {
  status: FollowerStatus = 'waiting'
  /** The database could be observed at least once. */
  hasSource = false
  /** Why the status is what it is, for people. */
  reason = 'starting'

  private files: DatabaseFiles | undefined
  private live: LiveDatabase | undefined
  private tracker: WalTracker | undefined
  private stamp: (FileStamp & { readonly directoryMtimeNs: string }) | undefined
  private pageSize = 0
  private readonly quiescentSinks = new Set<Sink>()
  private readonly wakeup: Wakeup
  private readonly window: CheckpointWindow
  private requests: (() => Promise<void>)[] = []
  private running: Promise<void> | undefined
  private stopping = false
  private lastGrowthMs = Number.NEGATIVE_INFINITY
  private contradictionSinceMs: number | undefined
  /** The pin was taken by a leapfrog and nothing came since. */
  private settled = false
  private checkpointSeen = { backfilled: 0, atMs: 0, told: false }
  private rate = { bytesPerSecond: 0, sinceMs: 0, frames: 0 }

  constructor(private readonly options: FollowerOptions) {
    this.wakeup = new Wakeup(options.path)
    this.window = new CheckpointWindow(options.clock)
  }

  start(): void {
    this.running ??= this.loop()
  }

  /** Reads what is committed by now, tells the sinks, and lets go of everything. */
  async stop(): Promise<void> {
    this.stopping = true
    await this.wakeup.close()
    await this.running
  }

  /** The newest state that was read; undefined while the database cannot be observed. */
  state(): SourceState | undefined {
    if (this.status === 'attached') return this.tracker?.state()
    if (this.status === 'quiescent' && this.stamp) return this.quiescentState(this.stamp)
    return undefined
  }

  /** Bytes of the WAL file, 0 without one. */
  walBytes(): number {
    return this.files?.walBytes() ?? 0
  }

  /**
   * Let a sink in that stands at `resume` (or anywhere: undefined). Resolves, once the database can be observed, with true when
   * nothing is missing between there and now (what came since was put and committed), else with the reason why that cannot be proved.
   * The sink is not in then.
   */
  join(sink: Sink, resume: SourceState['source'] | undefined, signal: AbortSignal): Promise<true | string> {
    return this.request(async () => {
      if (resume === undefined) return 'no generation exists'
      if (this.status === 'quiescent' && this.stamp) {
        if (!('stamp' in resume)) return 'the application closed the database while nobody watched'
        if (!sameFile(resume.stamp, this.stamp)) return 'the database was changed while nobody watched'
        sink.begin()
        sink.commit(this.quiescentState(this.stamp))
        this.quiescentSinks.add(sink)
        return true
      }
      return await this.joinLive(sink, resume)
    }, signal)
  }

  leave(sink: Sink): void {
    this.tracker?.sinks.delete(sink)
    this.quiescentSinks.delete(sink)
  }

  /**
   * Begin a copy of the database: `sink` is let in at the state that is returned and told every change from there on. `overlay` is
   * given the pages that are newer in the WAL than in the database file at that moment.
   */
  beginCopy(sink: Sink, overlay: (page: number, image: Uint8Array) => void, signal: AbortSignal): Promise<CopyStart> {
    return this.request(async () => {
      const files = this.files as DatabaseFiles
      if (this.status === 'quiescent' && this.stamp) {
        const state = this.quiescentState(this.stamp)
        this.quiescentSinks.add(sink)
        return { state, read: (into, length, position) => files.readDatabase(into, length, position) }
      }
      const tracker = this.tracker as WalTracker
      const all: Sink = { begin: () => {}, put: overlay, commit: () => {}, lost: () => {} }
      const joined = await tracker.join(all, 'cycle-start')
      tracker.sinks.delete(all)
      if (joined !== true) throw new Retry(joined)
      tracker.sinks.add(sink)
      const state = tracker.state() as SourceState
      return { state, read: (into, length, position) => files.readDatabase(into, length, position) }
    }, signal)
  }

  /** End a copy at the newest state: `sink` leaves, and `next` is told every change from there on. */
  endCopy(sink: Sink, next: Sink, signal: AbortSignal): Promise<SourceState> {
    return this.request(async () => {
      const sinks = this.status === 'quiescent' ? this.quiescentSinks : this.tracker?.sinks
      sinks?.delete(sink)
      sinks?.add(next)
      return this.state() as SourceState
    }, signal)
  }

  /** Runs `work` in the loop at a moment when the state is fresh; again later when it throws Retry. */
  private request<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const abort = () => reject(signal.reason)
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const run = async () => {
        if (signal.aborted) return
        try {
          const result = await work()
          signal.removeEventListener('abort', abort)
          resolve(result)
        } catch (error) {
          if (error instanceof Retry) this.requests.push(run)
          else {
            signal.removeEventListener('abort', abort)
            reject(error)
          }
        }
      }
      this.requests.push(run)
      this.wakeup.hint()
    })
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      let waitMs = this.options.monitorIntervalMs
      let listen = true
      try {
        waitMs = await this.tick()
        listen = waitMs > BUSY_MS
        await this.serveRequests()
      } catch (error) {
        await this.detach('waiting', messageOf(error))
        if (!isLitestreamError(error)) this.options.log.error('unexpected error, starting over', { error })
      }
      if (this.stopping) break
      if (this.requests.length > 0) waitMs = Math.min(waitMs, 50)
      if (listen) await this.wakeup.wait(waitMs)
      else await this.wakeup.rest(waitMs)
    }
    try {
      if (this.live) await this.follow()
      await this.serveRequests()
    } catch (error) {
      this.options.log.error('the last look before stopping failed', { error })
    }
    await this.detach('waiting', STOPPED)
  }

  private async serveRequests(): Promise<void> {
    if (this.requests.length === 0 || (this.status !== 'attached' && this.status !== 'quiescent')) return
    if (this.status === 'attached') {
      // Requests read under a pin, at a fresh cursor.
      if (this.live?.pin === 'none' && !this.takePin()) return
      await this.look()
      if (!this.tracker?.cursor) return
    }
    const requests = this.requests
    this.requests = []
    for (const run of requests) await run()
  }

  /** One round; the result is how long the next one may wait. */
  private async tick(): Promise<number> {
    if (this.status === 'attached' || this.status === 'quiescent') {
      const replaced = this.files?.replaced()
      if (replaced !== undefined) await this.detach('waiting', `${replaced} was replaced or removed`)
    }
    if (this.status === 'quiescent') return await this.tickQuiescent()
    if (this.status === 'attached') return await this.follow()
    return await this.tryAttach()
  }

  private async tryAttach(): Promise<number> {
    const { path, monitorIntervalMs } = this.options
    const files = DatabaseFiles.open(path)
    if (!(files instanceof DatabaseFiles)) {
      await this.detach(files.missing ? 'missing' : 'waiting', files.reason)
      return monitorIntervalMs
    }
    this.files = files
    const { header, size } = files.header()
    if (!header) {
      const reason = size === 0 ? `${path} is empty so far` : `${path} is not a SQLite database`
      await this.detach('waiting', reason)
      return monitorIntervalMs
    }
    this.pageSize = header.pageSize
    const { wal, walBytes, shm, journal } = files.companions()
    if (!header.walMode || journal) {
      const reason = journal
        ? `${path} has a rollback journal; waiting for its application to finish`
        : `${path} is not in WAL mode; set it once with PRAGMA journal_mode=WAL (this program never changes the database)`
      await this.detach('waiting', reason)
      return monitorIntervalMs
    }
    if (wal && shm) return await this.attach(files)
    if (walBytes) {
      const reason = `${path}-wal holds commits and no application has the database open (or it locks it exclusively); waiting for it to recover them`
      await this.detach('waiting', reason)
      return monitorIntervalMs
    }
    const stamp = files.stamp()
    const ageMs = this.options.clock.now() - stamp.newestMs
    if (ageMs < SETTLED_MS) {
      await this.detach('waiting', SETTLING)
      return Math.max(50, SETTLED_MS - ageMs + 10)
    }
    this.stamp = stamp
    this.become('quiescent', 'no application has the database open')
    return monitorIntervalMs
  }

  private async tickQuiescent(): Promise<number> {
    const files = this.files as DatabaseFiles
    const { wal, walBytes, shm } = files.companions()
    const stamp = files.stamp()
    if (wal && shm) return await this.attach(files)
    if (walBytes || !this.stamp || !sameFile(stamp, this.stamp)) {
      await this.detach('waiting', 'the database was changed without a WAL being seen')
      return 50
    }
    return this.options.monitorIntervalMs
  }

  /** From quiescent, the sinks come along when the file was not written to: then the WAL's first cycle holds all that came since. */
  private async attach(files: DatabaseFiles): Promise<number> {
    const { options } = this
    const stamped = this.stamp
    const comeAlong = [...this.quiescentSinks]
    if (!files.openLive()) return 50
    const live = new LiveDatabase(files)
    this.live = live
    if (!live.takePin() || files.replaced() !== undefined) {
      await this.detach(
        'waiting',
        `SQLite refuses a read transaction (${live.lastRefusal}): locked exclusively, or being recovered`,
      )
      return Math.min(100, options.monitorIntervalMs)
    }
    if (!live.attached()) {
      await this.detach('waiting', 'there is a WAL, but no application has the database open; waiting for it')
      return Math.min(500, options.monitorIntervalMs)
    }
    const tracker = new WalTracker(files, this.pageSize, {
      pool: options.pool,
      spoolDirectory: options.spoolDirectory,
      now: () => options.clock.now(),
      attached: () => live.attached(),
      protected: () => live.pin === 'read-mark',
    })
    this.tracker = tracker
    if (!(await tracker.anchor())) {
      await this.detach(
        'waiting',
        'the wal-index does not fit the WAL; the application may lock the database exclusively',
      )
      return Math.min(100, options.monitorIntervalMs)
    }
    this.become('attached', 'following the WAL')
    this.quiescentSinks.clear()
    for (const sink of comeAlong) {
      const proven = stamped !== undefined && sameFile(stamped, files.stamp())
      const joined = proven
        ? await tracker.join(sink, 'cycle-start')
        : 'the database was changed while its application opened it'
      if (joined === true && stamped && sameFile(stamped, files.stamp())) continue
      tracker.sinks.delete(sink)
      sink.lost(joined === true ? 'the database was checkpointed while it was opened' : joined)
    }
    this.stamp = undefined
    this.grew()
    return BUSY_MS
  }

  private async joinLive(sink: Sink, resume: SourceState['source']): Promise<true | string> {
    const tracker = this.tracker as WalTracker
    if ('cursor' in resume) return await tracker.join(sink, resume.cursor)
    const files = this.files as DatabaseFiles
    if (!sameFile(resume.stamp, files.stamp())) return 'the database was changed while nobody watched'
    const joined = await tracker.join(sink, 'cycle-start')
    if (joined !== true || sameFile(resume.stamp, files.stamp())) return joined
    tracker.sinks.delete(sink)
    return 'the database was checkpointed while its WAL was read'
  }

  /** Look, then decide about the pin. */
  private async follow(): Promise<number> {
    const live = this.live as LiveDatabase
    const tracker = this.tracker as WalTracker
    if (live.pin === 'none') {
      const header = this.files?.walIndex()
      const cursor = tracker.cursor
      const quiet =
        header &&
        cursor &&
        header.mxFrame === cursor.frames &&
        header.salt1 === cursor.salt1 &&
        header.salt2 === cursor.salt2
      if (quiet && !this.stopping) return this.options.monitorIntervalMs
      if (!this.takePin()) return 2
    }
    const moved = await this.look()
    if (!tracker.cursor) return 2
    if (moved) this.grew()
    const header = tracker.lastHeader
    const now = this.options.clock.monotonic()
    if (!header || this.stopping) return BUSY_MS
    const frameBytes = FRAME_HEADER_BYTES + this.pageSize
    this.measure(header.mxFrame, frameBytes, now)
    if (await this.mindCheckpoints(header, now)) return BUSY_MS
    const decision = planHold({
      pin: live.pin,
      shmWritable: this.files?.shmWritable ?? false,
      caughtUp: tracker.cursor.frames === header.mxFrame,
      frames: header.mxFrame,
      backfilled: header.backfilled,
      checkpointRunning: header.backfillAttempted > header.backfilled,
      settled: this.settled,
      quietMs: now - this.lastGrowthMs,
      windowFrames: windowFrames(
        this.rate.bytesPerSecond,
        frameBytes,
        this.options.minCheckpointPageCount,
        this.options.maxWalBytes,
      ),
      windowRestMs: this.window.restMs(),
    })
    if (decision === 'leapfrog') {
      if (live.takePin(true)) this.settled = true
      if (await this.look()) this.grew()
    } else if (decision === 'window') {
      await this.window.open(live, tracker)
      this.settled = false
      if (await this.look()) this.grew()
    } else if (decision === 'release') {
      live.releasePin()
      return RELEASE_MS
    }
    const quietMs = this.options.clock.monotonic() - this.lastGrowthMs
    return quietMs < 250 || live.pin !== 'database' ? BUSY_MS : this.options.monitorIntervalMs
  }

  /** The application is expected to checkpoint. Where it does not: say so, or do it where that is allowed (true when it was done). */
  private async mindCheckpoints(header: WalIndexHeader, nowMs: number): Promise<boolean> {
    const { maxCheckpointPageCount, allowCheckpoint, log } = this.options
    const seen = this.checkpointSeen
    if (header.backfilled !== seen.backfilled || header.mxFrame <= maxCheckpointPageCount) {
      this.checkpointSeen = { backfilled: header.backfilled, atMs: nowMs, told: false }
      return false
    }
    const { mxFrame: frames, backfilled } = header
    if (!growsUnchecked({ frames, backfilled, maxCheckpointPageCount, sinceCheckpointMs: nowMs - seen.atMs }))
      return false
    const files = this.files as DatabaseFiles
    if (!allowCheckpoint || !files.shmWritable) {
      const remedy = files.shmWritable
        ? 'checkpoint in the application, or set allow-checkpoint'
        : 'checkpoint in the application'
      if (!seen.told) log.warn('the WAL grows because the application never checkpoints', { frames, remedy })
      seen.told = true
      return false
    }
    // Without the pin, as in a window; nobody else checkpoints, so at most one restart follows.
    this.live?.releasePin()
    seen.atMs = nowMs
    try {
      const result = await passiveCheckpoint(files.path)
      log.info('checkpoint', { mode: 'PASSIVE', frames: result.log, checkpointed: result.checkpointed })
    } catch (error) {
      log.error('checkpoint', { error })
    }
    return true
  }

  private takePin(): boolean {
    const pinned = this.live?.takePin() ?? false
    if (pinned) this.settled = false
    return pinned
  }

  /** True when commits were read. Loses continuity, and stands anew, where the rules say so. */
  private async look(): Promise<boolean> {
    const tracker = this.tracker as WalTracker
    const look = await tracker.look()
    if (look.outcome === 'lost') {
      this.options.log.warn('lost sight of the WAL', { reason: look.reason })
    } else if (look.outcome === 'wait') {
      const now = this.options.clock.monotonic()
      this.contradictionSinceMs ??= now
      if (now - this.contradictionSinceMs < CONTRADICTION_MS) return false
      tracker.lose('the wal-index and the WAL contradict each other')
    }
    this.contradictionSinceMs = undefined
    if (!tracker.cursor && !(await tracker.anchor())) {
      await this.detach(
        'waiting',
        'the wal-index does not fit the WAL; the application may lock the database exclusively',
      )
      return false
    }
    return look.outcome === 'moved'
  }

  private grew(): void {
    this.lastGrowthMs = this.options.clock.monotonic()
    this.settled = false
  }

  /** Bytes a second that the WAL grows by: the fastest of late, so that a burst is known from its beginning. */
  private measure(frames: number, frameBytes: number, nowMs: number): void {
    const elapsedMs = Math.max(1, nowMs - this.rate.sinceMs)
    const grown = frames >= this.rate.frames ? frames - this.rate.frames : frames
    const latest = (grown * frameBytes * 1000) / Math.max(BUSY_MS / 2, Math.min(elapsedMs, BUSY_MS * 2))
    const faded = this.rate.bytesPerSecond * 0.5 ** (elapsedMs / RATE_HALF_LIFE_MS)
    this.rate = { bytesPerSecond: Math.max(latest, faded), sinceMs: nowMs, frames }
  }

  private become(status: FollowerStatus, reason: string): void {
    if (status === this.status && reason === this.reason) return
    const { log } = this.options
    const before = this.status
    this.status = status
    this.reason = reason
    if (status === 'attached' || status === 'quiescent') {
      this.hasSource = true
      log.info(status === 'attached' ? 'following the WAL' : 'database is closed, watching it', { from: before })
    } else if (status === 'missing') log.info('no database found yet, waiting for it')
    else if (reason === SETTLING || reason === STOPPED) log.debug('waiting for the database', { reason })
    else log.warn('waiting for the database', { reason })
  }

  /** Lets go of everything. Whoever was following has lost continuity, unless this is the end. */
  private async detach(status: FollowerStatus, reason: string): Promise<void> {
    const { live, files, tracker } = this
    const sinks = [...(tracker?.sinks ?? []), ...this.quiescentSinks]
    this.live = undefined
    this.files = undefined
    this.tracker = undefined
    this.stamp = undefined
    this.quiescentSinks.clear()
    if (live) await live.close()
    else await files?.close()
    this.become(status, reason)
    if (!this.stopping) for (const sink of sinks) sink.lost(reason)
  }

  private quiescentState(stamp: FileStamp): SourceState {
    const { ino, size, mtimeNs, ctimeNs } = stamp
    const { pageSize } = this
    const observedAtMs = this.options.clock.now()
    return {
      pageSize,
      pageCount: Math.floor(size / pageSize),
      observedAtMs,
      source: { stamp: { ino, size, mtimeNs, ctimeNs } },
    }
  }
}

export interface CopyStart {
  readonly state: SourceState
  /** Bytes of the database file as it is at the moment of the call. */
  readonly read: (into: Uint8Array, length: number, position: number) => Promise<number>
}

/** Thrown by a request that has to be served again later. */
class Retry extends Error {}

function sameFile(a: FileStamp, b: FileStamp): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}
