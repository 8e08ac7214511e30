// One database, from the outside: waits for it, attaches, reads every commit, and lets go of it in time. A single loop runs all of
// it, so there are no races inside; whoever wants something from the source (a replica that joins, a snapshot that begins or ends)
// puts a request into that loop.
//
//   missing ──► waiting ──► quiescent ⇄ attached        (any of them falls back to waiting or missing, with the reason)
//
//   missing    there is no file
//   waiting    there is one, but it cannot be observed now: not in WAL mode, not SQLite, locked, its application is dead, ...
//   quiescent  WAL mode and no WAL: the file itself is the state, recognised by its stamp
//   attached   an application has it open; we follow its WAL under pins (see attachment)

import { isLitestreamError, messageOf } from '../errors.js'
import { type FileStamp, sameStamp, type WalCursor } from '../model/provenance.js'
import type { DatabaseFacts } from '../plan/health.js'
import type { PinPlace } from '../plan/let-go-plan.js'
import type { ObservedFiles } from '../source/files.js'
import { Wakeup } from '../source/wakeup.js'
import type { WalReader } from '../source/wal-readers.js'
import { FRAME_HEADER_BYTES } from '../sqlite/wal-format.js'
import { sameCycle } from '../sqlite/wal-index.js'
import { Attachment, type AttachmentOptions, BUSY_MS, CALM_MS } from './attachment.js'
import { Refusals } from './refusals.js'
import { Requests, Retry } from './requests.js'
import type { Sink, SourceState } from './sink.js'
import { SourceStats } from './source-stats.js'
import type { PageTaker } from './stretch.js'

export type FollowerStatus = 'missing' | 'waiting' | 'quiescent' | 'attached'

export interface FollowerOptions extends AttachmentOptions {
  readonly path: string
}

export interface FollowerFacts extends DatabaseFacts {
  readonly unreadBytes: number
  /** Monotonic; undefined when everything was read. */
  readonly unreadSinceMs: number | undefined
  readonly wal: { readonly frames: number; readonly backfilled: number } | undefined
  readonly pin: PinPlace
}

export interface CopyStart {
  readonly state: SourceState
  /** Bytes of the database file as it is at the moment of the call. */
  readonly read: (into: Uint8Array, length: number, position: number) => Promise<number>
}

/** Files and names must have been left alone for this long before their times are believed. */
const SETTLED_MS = 1000
/** Whether the files at the paths are still those that are open is asked so often at most: a busy database is looked at more often. */
const SAME_FILES_MS = 200
/** After something changed that has to be looked at again. */
const AGAIN_MS = 50
const STARTING = 'starting'
const SETTLING = 'the database was closed a moment ago'
const STOPPED = 'stopped'

export class Follower {
  status: FollowerStatus = 'waiting'
  /** Why the status is what it is, for people. */
  reason = STARTING
  /** The database could be observed at least once. */
  hasSource = false
  readonly stats = new SourceStats()

  private files: ObservedFiles | undefined
  private attachment: Attachment | undefined
  private stamp: FileStamp | undefined
  private pageSize = 0
  private readonly quiescentSinks = new Set<Sink>()
  private readonly wakeup: Wakeup
  private readonly requests: Requests
  private readonly refusals = new Refusals()
  private running: Promise<void> | undefined
  private stopping = false
  /** Monotonic: of the status, of the loop's last round, and of the last one that left nothing unread. */
  private statusSinceMs: number
  private lookedAtMs: number
  private currentAtMs: number
  private sameFilesAtMs = Number.NEGATIVE_INFINITY
  /** The directory's names when the files at the paths were found to be those that are open; undefined when they may be others. */
  private sameNames: string | undefined

  constructor(private readonly options: FollowerOptions) {
    this.statusSinceMs = this.lookedAtMs = this.currentAtMs = options.clock.monotonic()
    this.wakeup = new Wakeup(options.path, options.clock, options.source.watch)
    this.requests = new Requests(() => this.wakeup.hint())
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

  /** Whether the database can be observed will be known in a moment. */
  get undecided(): boolean {
    return this.status === 'waiting' && [STARTING, SETTLING].includes(this.reason)
  }

  /** The newest state that was read; undefined while the database cannot be observed. */
  state(): SourceState | undefined {
    if (this.attachment) return this.attachment.tracker.state()
    return this.status === 'quiescent' ? this.quiescentState() : undefined
  }

  /**
   * Let a sink in that stands at `resume` (or anywhere: undefined). Resolves, once the database can be observed, with true when
   * nothing is missing between there and now (what came since was put and committed), else with the reason why that cannot be proved.
   * The sink is not in then.
   */
  join(sink: Sink, resume: SourceState['source'] | undefined, signal: AbortSignal): Promise<true | string> {
    return this.requests.add(async () => {
      if (resume === undefined) return 'no generation exists'
      if (this.attachment) return await this.joinLive(this.attachment, sink, resume)
      if (!('stamp' in resume)) return 'the application closed the database while nobody watched'
      if (!this.stamp || !sameStamp(resume.stamp, this.stamp)) return 'the database was changed while nobody watched'
      sink.begin()
      sink.commit(this.quiescentState())
      this.quiescentSinks.add(sink)
      return true
    }, signal)
  }

  leave(sink: Sink): void {
    this.attachment?.tracker.sinks.delete(sink)
    this.quiescentSinks.delete(sink)
  }

  /**
   * Begin a copy of the database: `sink` is let in at the state that is returned and told every change from there on. `overlay` is
   * given the pages that are newer in the WAL than in the database file at that moment; its `begin` says that what it was given so far
   * counts for nothing, because the WAL was restarted while it was read.
   */
  beginCopy(sink: Sink, overlay: Pick<Sink, 'begin' | 'put'>, signal: AbortSignal): Promise<CopyStart> {
    return this.requests.add(async () => {
      const files = this.files as ObservedFiles
      const tracker = this.attachment?.tracker
      if (tracker) {
        overlay.begin()
        const put = (page: number, image: Uint8Array) => overlay.put(page, image)
        const all: Sink = { begin: () => overlay.begin(), put, commit: () => {}, lost: () => {} }
        const joined = await tracker.join(all, 'cycle-start')
        tracker.sinks.delete(all)
        if (joined !== true) throw new Retry(joined)
      }
      this.sinks().add(sink)
      const state = this.state() as SourceState
      return { state, read: (into, length, position) => files.readDatabase(into, length, position) }
    }, signal)
  }

  /** End a copy at the newest state: `sink` leaves, and `next` is told every change from there on. */
  endCopy(sink: Sink, next: Sink, signal: AbortSignal): Promise<SourceState> {
    return this.requests.add(async () => {
      this.sinks().delete(sink)
      this.sinks().add(next)
      return this.state() as SourceState
    }, signal)
  }

  /** How it stands at this moment, asked of the wal-index itself and not only of the loop. */
  facts(): FollowerFacts {
    const { status, reason, hasSource, attachment, pageSize } = this
    const nowMs = this.options.clock.monotonic()
    const unreadFrames = this.unreadFrames()
    const header = attachment?.walIndex
    return {
      status,
      reason,
      hasSource,
      statusAgeMs: nowMs - this.statusSinceMs,
      lookAgeMs: nowMs - this.lookedAtMs,
      monitorIntervalMs: this.options.monitorIntervalMs,
      unreadBytes: unreadFrames * (FRAME_HEADER_BYTES + pageSize),
      unreadSinceMs: unreadFrames === 0 ? undefined : this.currentAtMs,
      wal: header && { frames: header.mxFrame, backfilled: header.backfilled },
      pin: attachment?.pin ?? 'none',
    }
  }

  /** Who reads the WAL at this moment; nobody while it is not attached. */
  walReaders(): WalReader[] {
    return this.attachment?.readers ?? []
  }

  /** Committed frames that were not read; after a restart of the WAL all that are in it. */
  private unreadFrames(): number {
    const cursor = this.attachment?.tracker.cursor
    const header = this.attachment?.walIndex
    if (!header) return 0
    return cursor && sameCycle(header, cursor) ? Math.max(0, header.mxFrame - cursor.frames) : header.mxFrame
  }

  /** The pages that changed between two commits of the WAL cycle that lasts; see the tracker. */
  between(from: WalCursor, to: WalCursor, take: PageTaker, signal: AbortSignal): Promise<boolean> {
    return this.requests.add(async () => (await this.attachment?.tracker.between(from, to, take)) ?? false, signal)
  }

  private sinks(): Set<Sink> {
    return this.attachment?.tracker.sinks ?? this.quiescentSinks
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      let waitMs = this.options.monitorIntervalMs
      this.refusals.justNow = false
      const { stats } = this
      const startMs = this.options.clock.monotonic()
      try {
        waitMs = await this.tick()
        await this.serveRequests()
      } catch (error) {
        stats.lookErrors++
        await this.detach('waiting', messageOf(error))
        if (!isLitestreamError(error)) this.options.log.error('unexpected error, starting over', { error })
      }
      this.lookedAtMs = this.options.clock.monotonic()
      if (this.unreadFrames() === 0) this.currentAtMs = this.lookedAtMs
      stats.looks++
      stats.lookMs += this.lookedAtMs - startMs
      if (this.stopping) break
      if (this.requests.size > 0) waitMs = Math.min(waitMs, AGAIN_MS)
      // While commits keep coming, hints would only make the looks more frequent than they are worth.
      if (waitMs <= CALM_MS) await this.wakeup.rest(waitMs)
      else {
        // Opening the files can make events of its own; they must not wake us to do it again.
        if (this.refusals.justNow) await this.wakeup.forgetAfter(AGAIN_MS)
        await this.wakeup.wait(waitMs)
      }
    }
    try {
      if (this.status === 'quiescent') await this.tickQuiescent()
      await this.attachment?.refresh()
      await this.serveRequests()
    } catch (error) {
      this.options.log.error('the last look before stopping failed', { error })
    }
    await this.detach('waiting', STOPPED)
  }

  private async serveRequests(): Promise<void> {
    if (this.requests.size === 0 || (this.status !== 'attached' && this.status !== 'quiescent')) return
    if (this.attachment && !(await this.attachment.refresh())) return
    await this.requests.serve()
  }

  /** One round; the result is how long the next one may wait. */
  private async tick(): Promise<number> {
    const replaced = this.replaced()
    if (replaced !== undefined) await this.detach('waiting', `${replaced} was replaced or removed`)
    if (this.attachment) return await this.attachment.follow()
    if (this.status === 'quiescent') return await this.tickQuiescent()
    return await this.open()
  }

  /** The name of a file that is not the one at its path any more. */
  private replaced(): string | undefined {
    const nowMs = this.options.clock.monotonic()
    if (this.attachment && nowMs - this.sameFilesAtMs < SAME_FILES_MS) return undefined
    this.sameFilesAtMs = nowMs
    // Before the files: a name that changes in between changes it again.
    const names = this.files?.names?.()
    if (names && names.key === this.sameNames) return undefined
    this.sameNames = undefined
    const replaced = this.files?.replaced()
    if (names && replaced === undefined && this.isSettled(names.newestMs)) this.sameNames = names.key
    return replaced
  }

  /**
   * What has this time cannot be changed any more and keep it: times come in steps. One that lies well ahead is of a clock that was
   * set back since: what changes now cannot get the same.
   */
  private isSettled(newestMs: number): boolean {
    return Math.abs(this.options.clock.now() - newestMs) >= SETTLED_MS
  }

  /** From missing or waiting: see what is there. */
  private async open(): Promise<number> {
    const { path, monitorIntervalMs, clock, source } = this.options
    const wait = async (
      reason: string,
      ms = monitorIntervalMs,
      status: FollowerStatus = 'waiting',
    ): Promise<number> => {
      await this.detach(status, reason)
      return ms
    }
    const files = source.open(path)
    if ('missing' in files) return await wait(files.reason, monitorIntervalMs, files.missing ? 'missing' : 'waiting')
    this.files = files
    const { header, size } = files.header()
    if (!header) return await wait(size === 0 ? `${path} is empty so far` : `${path} is not a SQLite database`)
    this.pageSize = header.pageSize
    const { wal, walBytes, shm, journal } = files.companions()
    if (journal) return await wait(`${path} has a rollback journal; waiting for its application to finish`)
    if (!header.walMode) {
      return await wait(
        `${path} is not in WAL mode; set it once with PRAGMA journal_mode=WAL (this program never changes the database)`,
      )
    }
    if (wal && shm) {
      const refusal = await this.attach(files)
      if (refusal === undefined) return BUSY_MS
      if (!refusal.nobody || walBytes) return await wait(refusal.reason, this.refusals.pauseMs(monitorIntervalMs))
    } else if (walBytes) {
      return await wait(
        `${path}-wal holds commits and no application has the database open (or it locks it exclusively); waiting for it to recover them`,
      )
    }
    const stamp = files.stamp()
    const ageMs = clock.now() - stamp.newestMs
    if (!this.isSettled(stamp.newestMs)) return await wait(SETTLING, Math.max(AGAIN_MS, SETTLED_MS - ageMs + 10))
    this.stamp = stamp
    this.become('quiescent', 'no application has the database open')
    return monitorIntervalMs
  }

  private async tickQuiescent(): Promise<number> {
    const { monitorIntervalMs } = this.options
    const files = this.files as ObservedFiles
    const { wal, walBytes, shm } = files.companions()
    if (wal && shm) {
      const refusal = await this.attach(files)
      if (refusal === undefined) return BUSY_MS
      if (!refusal.nobody) return this.refusals.pauseMs(monitorIntervalMs)
    }
    if (walBytes || !this.stamp || !sameStamp(files.stamp(), this.stamp)) {
      await this.detach('waiting', 'the database was changed without its WAL being seen')
      return AGAIN_MS
    }
    return monitorIntervalMs
  }

  /** From quiescent, the sinks come along when the file was not written to: then the WAL's first cycle holds all that came since. */
  private async attach(files: ObservedFiles) {
    const attachment = await Attachment.open(files, this.pageSize, this.options, this.stats)
    if (!(attachment instanceof Attachment)) return attachment
    this.refusals.reset()
    const { stamp } = this
    const comeAlong = [...this.quiescentSinks]
    this.quiescentSinks.clear()
    this.attachment = attachment
    this.sameNames = undefined
    await this.wakeup.renew()
    this.stamp = undefined
    this.become('attached', 'following the WAL')
    for (const sink of comeAlong) {
      const joined = await this.joinLive(attachment, sink, { stamp: stamp as FileStamp })
      if (joined !== true) sink.lost(joined)
    }
    return undefined
  }

  private async joinLive({ tracker }: Attachment, sink: Sink, resume: SourceState['source']): Promise<true | string> {
    if ('cursor' in resume) return await tracker.join(sink, resume.cursor)
    const files = this.files as ObservedFiles
    if (!sameStamp(files.stamp(), resume.stamp)) return 'the database was changed while nobody watched'
    const joined = await tracker.join(sink, 'cycle-start')
    // Not written to even now: no checkpoint has run, so no earlier cycle of this WAL can have been.
    if (joined !== true || sameStamp(files.stamp(), resume.stamp)) return joined
    tracker.sinks.delete(sink)
    return 'the database was checkpointed while its WAL was read'
  }

  private become(status: FollowerStatus, reason: string): void {
    if (status === this.status && reason === this.reason) return
    const { log } = this.options
    const before = this.status
    if (status !== before) this.statusSinceMs = this.options.clock.monotonic()
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
    const { attachment, files } = this
    const sinks = [...this.sinks()]
    if (attachment || this.status === 'quiescent') await this.wakeup.renew()
    this.attachment = undefined
    this.files = undefined
    this.sameNames = undefined
    this.stamp = undefined
    this.quiescentSinks.clear()
    attachment?.close()
    await files?.close()
    this.become(status, reason)
    if (reason === STOPPED) return
    if (sinks.length > 0) this.stats.lose(reason)
    for (const sink of sinks) sink.lost(reason)
  }

  private quiescentState(): SourceState {
    const { ino, size, mtimeNs, ctimeNs } = this.stamp as FileStamp
    const { pageSize } = this
    const { clock } = this.options
    const [observedAtMs, uptime] = [clock.now(), clock.uptime()]
    const pageCount = Math.floor(size / pageSize)
    return { pageSize, pageCount, observedAtMs, uptime, source: { stamp: { ino, size, mtimeNs, ctimeNs } } }
  }
}
