// One replica of one database: collects what the follower reads and ships it, as snapshots and segments. The position moves only by
// acknowledged uploads. Runs as one loop:
//
//   establish   find out where the replica stands and let the follower prove that nothing is missing since then; else heal by
//               comparison, where it is known what the replica holds; else begin a new generation with a snapshot
//   follow      the first change after a quiet time goes at once, later ones at most once per sync-interval, all that changed in
//               between as one segment; an upload that failed is repeated with the very same content
//
//   stand by    another writer has gone on with the generation, and the configuration says to leave it to it (see stand-by)
//
// Lost continuity (told by the follower) and a generation lost to another writer lead back to `establish`.

import { present, TIMER_MS_MAX, type TimerClock } from '../clock.js'
import { isLitestreamError, LitestreamError, messageOf } from '../errors.js'
import type { Attributes, Logger } from '../logger.js'
import { INDEX_MAX } from '../model/position.js'
import { planResume } from '../plan/resume-plan.js'
import type { OwnGeneration } from '../plan/retention-facts.js'
import { arrived, departureInMs, type Shipments } from '../plan/shipment-plan.js'
import { type Moment, snapshotDueInMs } from '../plan/snapshot-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { Changeset } from '../source/changeset.js'
import { type ChunkPool, SpoolBudget } from '../source/spool.js'
import { Boundaries, type Boundary } from './boundaries.js'
import { WriterConflict } from './claim.js'
import { type CopyEnd, DatabaseCopy } from './copy.js'
import type { DigestFile } from './digest-file.js'
import { ReplicaDigests } from './digests.js'
import { Failures } from './failures.js'
import type { Follower } from './follower.js'
import { compareWithSource, type Difference } from './heal.js'
import { keepDigests, takeKeptDigests } from './kept-digests.js'
import { type ConflictPolicy, NO_CLEAN_STOP, OtherWriters } from './other-writers.js'
import { ReplicaRecord } from './replica-record.js'
import { type Place, positionOf, ReplicaWriter } from './replica-writer.js'
import { findResumePoint, type ResumePoint } from './resume-point.js'
import type { Sink, SourceState } from './sink.js'

export interface ShipperOptions {
  readonly name: string
  readonly client: ReplicaClient
  readonly syncIntervalMs: number
  /** 0: as often as the retention needs one. */
  readonly snapshotIntervalMs: number
  /** 0 or absent: everything is kept. */
  readonly retentionMs?: number | undefined
  readonly pool: ChunkPool
  readonly spoolDirectory?: string | undefined
  /** Past it nothing more is collected until the replica can be reached. */
  readonly maxSpoolBytes?: number | undefined
  readonly clock: TimerClock
  /** Random bytes as lowercase hex. */
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
  /** See OtherWritersOptions. */
  readonly onConflict?: ConflictPolicy | undefined
  readonly takeOverAfterMs?: number | undefined
  readonly host?: string | undefined
  readonly snapshotProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined
  /** After lost continuity ship the difference instead of a new generation. */
  readonly heal?: boolean | undefined
  /** Where what that takes survives a restart. */
  readonly digestFile?: DigestFile | undefined
}

interface Outgoing {
  readonly changes: Changeset
  readonly state: SourceState
  /** Told once it is in the replica. */
  readonly healed?: Attributes | undefined
}

const BOUNDARY_LOOK_MS = 100
const SPOOL_BYTES_MAX = 1 << 30
const SETTLE_LOOK_MS = 20
/** Shorter than any retention that another daemon will have. */
const CERTAIN_MS_MAX = 600_000
/** To wait, at least, while a batch comes in. */
const BATCH_MS = 50

export class Shipper implements Sink {
  readonly record: ReplicaRecord
  private readonly writer: ReplicaWriter
  private readonly digests: ReplicaDigests | undefined
  private pending: Changeset
  private pendingState: SourceState | undefined
  private inBatch = false
  private outgoing: Outgoing | undefined
  private joined = false
  private lostReason: string | undefined
  /** No room for what changes: nothing is collected until the replica has been found again. */
  private overflowed = false
  private readonly budget: SpoolBudget
  private resume: ResumePoint | undefined
  private looked = false
  private readonly others: OtherWriters
  private readonly failures: Failures
  private readonly boundaries = new Boundaries()
  private lastShipMs = Number.NEGATIVE_INFINITY
  private shipments: Shipments | undefined
  private lastSnapshot: Moment = { wallMs: 0, monotonicMs: 0 }
  private changedSinceSnapshot = false
  private own: Omit<OwnGeneration, 'snapshotIndex'> | undefined
  /** Waiting for a change, or for a snapshot to be due: a change ends the wait. */
  private idle = false
  private wake: (() => void) | undefined
  private endPause: (() => void) | undefined
  private readonly abort = new AbortController()
  /** Of the snapshot under way. */
  private copyAbort: AbortController | undefined
  private stopping = false
  private running: Promise<void> | undefined

  constructor(
    private readonly follower: Follower,
    private readonly options: ShipperOptions,
  ) {
    this.budget = new SpoolBudget(options.maxSpoolBytes ?? SPOOL_BYTES_MAX)
    this.pending = this.newChangeset()
    const digestOptions = { directory: options.spoolDirectory }
    this.digests = options.heal ? new ReplicaDigests(options.log, digestOptions) : undefined
    this.record = new ReplicaRecord(options.clock)
    this.record.apart()
    const certainForMs = Math.min(CERTAIN_MS_MAX, (options.retentionMs || Number.POSITIVE_INFINITY) / 2)
    this.writer = new ReplicaWriter({ ...options, record: this.record, digests: this.digests, certainForMs })
    this.others = new OtherWriters(options)
    this.failures = new Failures(options.clock, options.randomHex, options.log)
  }

  start(): void {
    this.running ??= this.loop()
  }

  /** Everything that was read is in the replica. */
  get inSync(): boolean {
    return this.joined && this.pending.size === 0 && !this.outgoing && !this.inBatch
  }

  /** Bytes of changed pages that were read and are not acknowledged. */
  get behindBytes(): number {
    return this.pending.bytes + (this.outgoing?.changes.bytes ?? 0)
  }

  /** The replica answers: there is no reason to pause any longer before the next try. */
  tryNow(): void {
    if (this.failures.failing) this.endPause?.()
  }

  get position(): string {
    const { place } = this.writer
    return place ? positionOf(place) : ''
  }

  get uploads(): number {
    return this.record.uploads
  }

  /** The generation that is written, once it can be restored; undefined while continuity has to be established. */
  get ownGeneration(): OwnGeneration | undefined {
    return this.joined && this.own ? { ...this.own, snapshotIndex: this.writer.snapshotIndex } : undefined
  }

  /**
   * Answers when the replica stands at exactly the state that `stateOf` gives: `freeze` is called at a moment when that is certain.
   * Rejects with the signal's reason, or when it cannot be brought there.
   */
  async boundary<T>(
    stateOf: () => SourceState | undefined,
    freeze: () => T,
    signal: AbortSignal,
  ): Promise<Boundary<T>> {
    const answer = this.boundaries.wait(stateOf, freeze, signal)
    // The other side may need a moment longer than we do, and then nothing else would wake us.
    let cancel = () => {}
    const remind = () => {
      if (!this.boundaries.anybodyWaits) return
      this.wake?.()
      cancel = this.options.clock.after(BOUNDARY_LOOK_MS, remind)
    }
    remind()
    return await answer.finally(() => cancel())
  }

  /** `generation`, if that is still ours, cannot be trusted: begin a new one, whatever is known of what it holds. */
  beginAnew(generation: string, reason: string): void {
    if (this.writer.place?.generation !== generation) return
    this.record.gone()
    this.digests?.forget()
    this.follower.leave(this)
    this.lost(reason)
  }

  /** Resolves when no snapshot is under way and the replica has joined, or that cannot happen now; at the latest after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    const { clock } = this.options
    const endMs = clock.monotonic() + limitMs
    while (!this.settled && clock.monotonic() < endMs) {
      // Whatever happened to the source is no reason to wait: there will be no later.
      this.tryNow()
      await new Promise<void>((resolve) => clock.after(SETTLE_LOOK_MS, resolve))
    }
  }

  /** Another writer has the replica, and it is left to it. */
  get standingBy(): boolean {
    return this.others.standingBy
  }

  get standsBy(): OtherWriters['standsBy'] {
    return this.others.standsBy
  }

  private get settled(): boolean {
    if (this.standingBy) return true
    if (this.failures.failing && !isLitestreamError(this.failures.last, 'SOURCE')) return true
    if (this.follower.state() === undefined) return !this.follower.undecided
    return this.joined && this.copyAbort === undefined
  }

  /**
   * After the follower has stopped: ships what is left, trying for at most `deadlineMs`, and closes the client. Throws when something
   * is left behind.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.stopping = true
    const outOfTime = () => this.abort.abort(new LitestreamError('ABORTED', 'no time is left'))
    const cancel = this.options.clock.after(deadlineMs, outOfTime)
    // A snapshot under way is given up: it cannot end without the follower. Neither can a replica join without it.
    this.copyAbort?.abort(new LitestreamError('ABORTED', 'stopping'))
    if (!this.joined && !this.outgoing) this.abort.abort(new LitestreamError('ABORTED', 'stopping'))
    this.wake?.()
    await this.running
    cancel()
    this.failures.close()
    const why = this.failures.last ?? this.lostReason
    const apart = !this.joined && this.follower.hasSource && !this.standingBy
    if (apart && why === undefined) this.options.log.warn('stopped before the first snapshot was complete')
    const left = this.outgoing !== undefined || this.pending.size > 0 || (apart && why !== undefined)
    if (!left && this.joined) await this.others.markCleanStop(this.writer.newestKey, this.writer.writer)
    this.forget()
    const { digestFile, log } = this.options
    if (this.digests && digestFile) await keepDigests(this.digests, digestFile, log)
    this.digests?.forget()
    await this.options.client.close()
    if (left) {
      const message = `replica ${this.options.name} lacks the newest changes: ${messageOf(why ?? 'no time was left')}`
      throw new LitestreamError('STORAGE', message, { cause: why })
    }
  }

  begin(): void {
    this.inBatch = true
  }

  put(page: number, image: Uint8Array): void {
    if (this.overflowed) return
    try {
      this.pending.put(page, image)
    } catch (error) {
      if (!isLitestreamError(error, 'LOCAL')) throw error
      this.overflow(error)
    }
  }

  /** The application goes on, and so does everybody else who follows it. What is missing is found by comparison later, or copied anew. */
  private overflow(error: LitestreamError): void {
    this.overflowed = true
    this.record.overflow = messageOf(error)
    this.options.log.error('changes are not collected any more until the replica works again', { error })
    this.follower.leave(this)
    this.lost(messageOf(error))
  }

  commit(state: SourceState): void {
    if (this.overflowed) return
    this.inBatch = false
    this.pendingState = state
    if (this.pending.size === 0) return
    this.record.changed()
    this.wake?.()
  }

  lost(reason: string): void {
    this.joined = false
    this.inBatch = false
    this.lostReason = reason
    this.pending.clear()
    this.record.apart()
    this.wake?.()
  }

  private async loop(): Promise<void> {
    const { signal } = this.abort
    while (!signal.aborted) {
      let waitMs: number
      try {
        waitMs = await this.step()
        this.failures.worked(this.inSync)
        this.record.worked()
      } catch (error) {
        if (signal.aborted) {
          this.failures.last ??= error
          return
        }
        this.record.failed(error)
        waitMs = error instanceof WriterConflict ? this.conflict(error) : this.failures.failed(error)
      }
      if (this.inSync && this.writer.place) {
        this.boundaries.reached(this.pendingState)
        this.boundaries.acknowledged(this.writer.place)
      }
      if (this.stopping && (this.inSync || !this.joined)) return
      if (waitMs > 0 && !(this.stopping && !this.failures.failing))
        await this.sleep(this.stopping ? Math.min(waitMs, 500) : waitMs)
    }
  }

  /** One thing that is due; the result is how long the next one may wait. */
  private async step(): Promise<number> {
    const { clock, syncIntervalMs } = this.options
    this.idle = false
    if (!this.joined && !this.outgoing) {
      if (this.stopping) return 0
      if (this.standingBy) {
        const source = this.follower.state()?.source
        if (!(await this.others.ourTurn(source, this.abort.signal))) return this.others.pauseMs
        this.looked = false
      }
      await this.establish()
      return 0
    }
    if (!this.outgoing) {
      if (this.pending.size === 0 || this.inBatch) {
        const snapshotInMs = this.snapshotInMs()
        this.idle = snapshotInMs > 0 || this.inBatch
        if (this.idle) return Math.max(snapshotInMs, BATCH_MS)
        await this.snapshotNextIndex()
        return 0
      }
      const { lastShipMs, shipments } = this
      const departure = { syncIntervalMs, lastShipMs, shipments, pendingBytes: this.pending.bytes }
      const dueMs = departureInMs(departure, clock.monotonic())
      if (dueMs > 0 && !this.stopping) return dueMs
      this.outgoing = { changes: this.pending, state: this.pendingState as SourceState }
      this.pending = this.newChangeset()
      this.boundaries.reached(this.pendingState)
      this.record.departed()
    }
    this.lastShipMs = clock.monotonic()
    await this.ship(this.outgoing)
    if (this.snapshotInMs() === 0) await this.snapshotNextIndex()
    return 0
  }

  /** Until a snapshot is due within the generation; infinite when none will be. */
  private snapshotInMs(): number {
    const { retentionMs = 0, snapshotIntervalMs } = this.options
    if (this.stopping || !this.joined) return Number.POSITIVE_INFINITY
    return snapshotDueInMs(
      { retentionMs, snapshotIntervalMs },
      this.lastSnapshot,
      this.changedSinceSnapshot,
      present(this.options.clock),
    )
  }

  /** Continue the replica's generation, heal it, or begin a new one. */
  private async establish(): Promise<void> {
    const { signal } = this.abort
    const { digestFile, log } = this.options
    if (!this.looked) {
      this.writer.conditional = await this.others.findConditional(signal)
      this.resume = await findResumePoint(this.options.client, signal)
      if (this.resume && !(await this.others.mayContinue(this.resume.newestKey, this.writer.writer, signal))) {
        this.resume = undefined
        this.lostReason = NO_CLEAN_STOP
      }
      if (this.digests && digestFile) await takeKeptDigests(this.digests, digestFile, this.resume, log)
      this.looked = true
    }
    const { resume } = this
    const lost = this.lostReason
    this.lostReason = undefined
    this.overflowed = false
    const continuity = lost ?? (await this.follower.join(this, resume?.provenance.source, signal))
    const plan = planResume({
      continuity,
      generation: resume !== undefined || this.writer.place !== undefined,
      namesLeft: resume ? resume.nextIndex <= INDEX_MAX : this.writer.namesLeft,
      digests: this.digests?.known !== undefined,
    })
    if (resume && plan.how !== 'new-generation') {
      this.resume = undefined
      this.own = { generation: resume.generation, firstIndex: resume.nextIndex }
      this.lastSnapshot = { ...present(this.options.clock), wallMs: resume.snapshotAtMs }
      this.changedSinceSnapshot = resume.provenance.kind === 'segment'
      this.writer.continueFrom(resume)
      const { key, size } = resume.snapshot
      this.record.lastSnapshot = { key, size, atMs: resume.snapshotAtMs }
    }
    if (plan.how === 'continue') {
      this.joined = this.lostReason === undefined
      if (this.joined) this.record.reached()
      this.options.log.info('continuing generation', { position: this.position })
      return
    }
    this.follower.leave(this)
    this.pending.clear()
    if (plan.how === 'heal') await this.heal(plan.reason)
    else await this.beginGeneration(plan.reason)
  }

  /** Ship what the replica lacks, in its generation; the source is compared with what is known of the replica. */
  private async heal(reason: string): Promise<void> {
    const known = this.digests?.known
    let difference: Difference | string
    try {
      if (!known) throw new LitestreamError('SOURCE', 'it is not known what the replica holds')
      difference = await this.copying((copy) =>
        compareWithSource(copy, known.pages, this, { ...this.options, budget: this.budget }),
      )
    } catch (error) {
      this.follower.leave(this)
      this.pending.clear()
      // More than fits here; trying again would not make it less. A snapshot is streamed, it needs no room.
      if (!isLitestreamError(error, 'LOCAL')) {
        this.lostReason ??= reason
        throw error
      }
      this.lostReason = undefined
      difference = messageOf(error)
    }
    if (typeof difference === 'string') {
      this.follower.leave(this)
      this.pending.clear()
      return await this.beginGeneration(`${reason}; not healed by comparison: ${difference}`)
    }
    const { changes, state, comparedPages } = difference
    this.joined = this.lostReason === undefined
    if (this.pending.size === 0) this.pendingState = state
    const healed = { reason, compared: comparedPages, shipped: changes.size }
    this.outgoing = { changes, state, healed }
  }

  private async beginGeneration(reason: string): Promise<void> {
    const place = this.writer.newGeneration()
    this.own = undefined
    this.options.log.info('sync: new generation', { generation: place.generation, reason })
    try {
      await this.snapshot(place, false)
    } catch (error) {
      this.follower.leave(this)
      this.joined = false
      this.pending.clear()
      this.dropOutgoing()
      this.digests?.forget()
      this.lostReason ??= reason
      await this.writer.giveUp(place)
      throw error
    }
    this.resume = undefined
    this.record.generations++
    if (this.joined) this.record.reached()
    this.own = { generation: place.generation, firstIndex: place.end.index }
  }

  /** Upload a snapshot for `target`, an index with nothing in it. From its state on this shipper is told every change. */
  private snapshot(target: Place, withinGeneration: boolean): Promise<void> {
    const { snapshotProgress } = this.options
    return this.copying(async (copy, signal) => {
      // Fixed when the copy ends: newer commits come in while its last pages are still on their way.
      let stands: { state: SourceState; bytes: number; overlayBytes: number } | undefined
      const finish = async ({ state, changes }: CopyEnd) => {
        // Lost before the copy began: the copy is sound, but what is pending does not lead to it, nor does the generation.
        if (withinGeneration && !this.joined) {
          changes.clear()
          throw new LitestreamError('SOURCE', `the snapshot was given up: ${this.lostReason ?? 'continuity was lost'}`)
        }
        // Within a generation the overlay follows the newest segment, for whoever restores from an older snapshot, and until this one
        // can be seen everybody does: it has to hold what came before the copy began as well. All of that is pending. A new generation
        // has nothing before the copy. Should the upload fail, it stays the next thing to ship, and is a segment like any other.
        const overlay = withinGeneration ? this.pending : changes
        if (withinGeneration) this.pending = this.newChangeset()
        if (withinGeneration) this.record.departed()
        for (const unused of [this.pending, changes]) if (unused !== overlay) unused.clear()
        this.joined = this.lostReason === undefined
        this.pendingState = state
        this.writer.place = target
        if (overlay.size > 0) {
          this.outgoing = { changes: overlay, state }
          await this.writer.writeSegment(overlay, state, target, this.abort.signal)
          this.dropOutgoing()
          this.record.arrived()
        }
        stands = { state, bytes: copy.bytes, overlayBytes: this.writer.place?.end.offset ?? 0 }
      }
      this.record.snapshotShare = 0
      const copied = copy.pages(this, finish, (done, total) => {
        this.record.snapshotShare = done / total
        snapshotProgress?.(done, total)
      })
      const digested = withinGeneration ? undefined : this.digests?.ofSnapshot(copied, () => copy.pageSize)
      const about = () => stands as NonNullable<typeof stands>
      const { pageCount = 0, pageSize = 0 } = this.follower.state() ?? {}
      await this.writer.writeSnapshot(target, digested ?? copied, about, signal, pageCount * pageSize)
      this.lastSnapshot = present(this.options.clock)
      this.changedSinceSnapshot = false
    })
  }

  /** One copy of the database, which `stop` aborts. */
  private async copying<T>(use: (copy: DatabaseCopy, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { pool, spoolDirectory } = this.options
    const copyAbort = new AbortController()
    const { signal } = copyAbort
    const abort = () => copyAbort.abort(this.abort.signal.reason)
    this.abort.signal.addEventListener('abort', abort)
    this.copyAbort = copyAbort
    // Also one that begins after `stop` has looked for it.
    if (this.stopping) copyAbort.abort(new LitestreamError('ABORTED', 'stopping'))
    const copy = new DatabaseCopy(this.follower, pool, spoolDirectory, signal, this.budget)
    try {
      return await use(copy, signal)
    } finally {
      this.abort.signal.removeEventListener('abort', abort)
      this.copyAbort = undefined
      this.record.snapshotShare = undefined
      copy.close()
    }
  }

  /** Another writer has gone on with this generation. The result is how long to wait. */
  private conflict(conflict: WriterConflict): number {
    this.follower.leave(this)
    this.joined = false
    this.inBatch = false
    this.dropOutgoing()
    this.pending.clear()
    // Nothing of what was known of this generation counts any more.
    this.resume = undefined
    this.writer.place = undefined
    this.digests?.forget()
    this.record.apart()
    this.lostReason = this.others.met(conflict, this.writer.writer)
    return this.others.pauseMs
  }

  private async ship(outgoing: Outgoing): Promise<void> {
    const place = await this.writer.nextSegment(this.abort.signal)
    if (!place) {
      this.dropOutgoing()
      this.indexesExhausted()
      return
    }
    await this.writer.writeSegment(outgoing.changes, outgoing.state, place, this.abort.signal)
    this.boundaries.acknowledged(this.writer.place as Place)
    const { bytes } = outgoing.changes
    this.failures.shipped(bytes)
    this.shipments = arrived(this.shipments, bytes, this.options.clock.monotonic() - this.lastShipMs)
    await this.writer.sweep()
    this.changedSinceSnapshot = true
    this.dropOutgoing()
    this.record.arrived()
    if (!outgoing.healed) return
    this.record.healed++
    if (this.joined) this.record.reached()
    this.options.log.info('healed by comparison', { position: this.position, ...outgoing.healed })
  }

  private async snapshotNextIndex(): Promise<void> {
    const target = await this.writer.nextIndex(this.abort.signal)
    if (!target) return this.indexesExhausted()
    // Asked to stop while the index was being closed.
    if (!this.stopping) await this.snapshot(target, true)
  }

  private indexesExhausted(): void {
    this.follower.leave(this)
    this.lost('max index exceeded')
  }

  private newChangeset(): Changeset {
    return new Changeset(this.options.pool, this.options.spoolDirectory, this.budget)
  }

  private dropOutgoing(): void {
    this.outgoing?.changes.clear()
    this.outgoing = undefined
    this.boundaries.dropped()
  }

  private forget(): void {
    this.follower.leave(this)
    this.dropOutgoing()
    this.pending.clear()
  }

  private async sleep(ms: number): Promise<void> {
    const { signal } = this.abort
    const { idle } = this
    if (signal.aborted || (idle && (!this.joined || (this.pending.size > 0 && !this.inBatch)))) return
    let end: () => void = () => {}
    let cancel = () => {}
    await new Promise<void>((resolve) => {
      end = () => resolve()
      this.endPause = end
      if (ms !== Number.POSITIVE_INFINITY) cancel = this.options.clock.after(Math.min(ms, TIMER_MS_MAX), resolve)
      // New changes do not shorten the pause after a failure or before the next sync; stopping and lost continuity do.
      this.wake = () => {
        if (idle || this.stopping || this.lostReason !== undefined) resolve()
      }
      signal.addEventListener('abort', end, { once: true })
    })
    cancel()
    signal.removeEventListener('abort', end)
    this.wake = undefined
    this.endPause = undefined
  }
}
