// One replica of one database: collects what the follower reads and ships it, as snapshots and segments. The position moves only by
// acknowledged uploads. Runs as one loop:
//
//   establish   find out where the replica stands and let the follower prove that nothing is missing since then; else begin a new
//               generation with a snapshot
//   follow      the first change after a quiet time goes at once, later ones at most once per sync-interval, all that changed in
//               between as one segment; an upload that failed is repeated with the very same content
//
// Lost continuity (told by the follower) leads back to `establish`.

import type { Clock } from '../clock.js'
import { encodeFrame } from '../codec/frame.js'
import { LitestreamError, messageOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { segmentKey, snapshotKey } from '../model/layout.js'
import { formatPosition, INDEX_MAX } from '../model/position.js'
import { encodeProvenance, type Provenance } from '../model/provenance.js'
import type { ReplicaClient } from '../replica/client.js'
import { Changeset } from '../source/changeset.js'
import type { ChunkPool } from '../source/spool.js'
import { PROGRAM } from '../version.js'
import { backoffMs } from './backoff.js'
import { type CopyEnd, DatabaseCopy } from './copy.js'
import type { Follower } from './follower.js'
import { findResumePoint, type ResumePoint } from './resume-point.js'
import { encodeSegment, type IndexEnd, openIndex } from './segment.js'
import type { Sink, SourceState } from './sink.js'

export interface ShipperOptions {
  readonly name: string
  readonly client: ReplicaClient
  readonly syncIntervalMs: number
  /** 0: only the snapshot that begins a generation. */
  readonly snapshotIntervalMs: number
  readonly pool: ChunkPool
  readonly spoolDirectory?: string | undefined
  readonly clock: Clock
  /** Random bytes as lowercase hex. */
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
  readonly snapshotProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined
}

const SEGMENTS_PER_INDEX_MAX = 256
const INDEX_BYTES_MAX = 64 << 20

interface Outgoing {
  readonly changes: Changeset
  readonly state: SourceState
}

/** Where the replica stands. */
interface Place {
  readonly generation: string
  readonly end: IndexEnd
  /** The end of the index before the open one, while that one is empty. */
  readonly previous: { readonly index: number; readonly offset: number } | undefined
}

export class Shipper implements Sink {
  private place: Place | undefined
  private pending: Changeset
  private pendingState: SourceState | undefined
  private inBatch = false
  private outgoing: Outgoing | undefined
  private joined = false
  private lostReason: string | undefined
  private resume: ResumePoint | undefined
  private looked = false
  private failures = 0
  private failingSinceMs = 0
  private lastShipMs = Number.NEGATIVE_INFINITY
  private lastSnapshotMs = 0
  private changedSinceSnapshot = false
  private wake: (() => void) | undefined
  private readonly writer: string
  private readonly abort = new AbortController()
  /** Of the snapshot under way. */
  private copyAbort: AbortController | undefined
  private stopping = false
  private onSettled: (() => void) | undefined
  private running: Promise<void> | undefined
  /** The last error of the loop; undefined when the last try worked. */
  lastError: unknown

  constructor(
    private readonly follower: Follower,
    private readonly options: ShipperOptions,
  ) {
    this.pending = this.newChangeset()
    this.writer = options.randomHex(8)
  }

  start(): void {
    this.running ??= this.loop()
  }

  /** Everything that was read is in the replica. */
  get inSync(): boolean {
    return this.joined && this.pending.size === 0 && !this.outgoing && !this.inBatch
  }

  get position(): string {
    const { place } = this
    return place ? formatPosition({ generation: place.generation, ...place.end }) : ''
  }

  /** Resolves when no snapshot is under way and the replica has joined, or that cannot happen now; at the latest after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    if (this.settled) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs)
      this.onSettled = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private get settled(): boolean {
    if (this.failures > 0 || this.follower.state() === undefined) return true
    return this.joined && this.copyAbort === undefined
  }

  /**
   * After the follower has stopped: ships what is left, trying for at most `deadlineMs`, and closes the client. Throws when something
   * is left behind.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.stopping = true
    const timer = setTimeout(() => this.abort.abort(new LitestreamError('ABORTED', 'no time is left')), deadlineMs)
    // A snapshot under way is given up: it cannot end without the follower. Neither can a replica join without it.
    this.copyAbort?.abort(new LitestreamError('ABORTED', 'stopping'))
    if (!this.joined && !this.outgoing) this.abort.abort(new LitestreamError('ABORTED', 'stopping'))
    this.wake?.()
    await this.running
    clearTimeout(timer)
    const unborn = !this.joined && this.follower.hasSource
    if (unborn && this.lastError === undefined) this.options.log.warn('stopped before the first snapshot was complete')
    const left = this.outgoing !== undefined || this.pending.size > 0 || (unborn && this.lastError !== undefined)
    this.forget()
    await this.options.client.close()
    if (left) {
      const message = `replica ${this.options.name} lacks the newest changes: ${messageOf(this.lastError ?? 'no time was left')}`
      throw new LitestreamError('STORAGE', message, { cause: this.lastError })
    }
  }

  begin(): void {
    this.inBatch = true
  }

  put(page: number, image: Uint8Array): void {
    this.pending.put(page, image)
  }

  commit(state: SourceState): void {
    this.inBatch = false
    this.pendingState = state
    if (this.pending.size > 0) this.wake?.()
  }

  lost(reason: string): void {
    this.joined = false
    this.inBatch = false
    this.lostReason = reason
    this.pending.clear()
    this.wake?.()
  }

  private async loop(): Promise<void> {
    const { signal } = this.abort
    while (!signal.aborted) {
      let waitMs: number
      try {
        waitMs = await this.step()
        this.recovered()
      } catch (error) {
        if (signal.aborted) {
          this.lastError ??= error
          return
        }
        waitMs = this.failed(error)
      }
      if (this.settled) this.onSettled?.()
      if (this.stopping && (this.inSync || !this.joined)) return
      if (waitMs > 0 && !(this.stopping && this.failures === 0))
        await this.sleep(this.stopping ? Math.min(waitMs, 500) : waitMs)
    }
  }

  /** One thing that is due; the result is how long the next one may wait. */
  private async step(): Promise<number> {
    const { clock, syncIntervalMs, snapshotIntervalMs } = this.options
    if (!this.joined && !this.outgoing) {
      if (this.stopping) return 0
      await this.establish()
      return 0
    }
    if (!this.outgoing) {
      if (this.pending.size === 0 || this.inBatch) return Number.POSITIVE_INFINITY
      const dueMs = this.lastShipMs + syncIntervalMs - clock.monotonic()
      if (dueMs > 0 && !this.stopping) return dueMs
      this.outgoing = { changes: this.pending, state: this.pendingState as SourceState }
      this.pending = this.newChangeset()
    }
    this.lastShipMs = clock.monotonic()
    await this.ship(this.outgoing)
    const snapshotDue = snapshotIntervalMs > 0 && clock.now() - this.lastSnapshotMs >= snapshotIntervalMs
    if (snapshotDue && this.changedSinceSnapshot && !this.stopping && this.joined) await this.snapshotNextIndex()
    return 0
  }

  /** Continue the replica's generation, or begin a new one. */
  private async establish(): Promise<void> {
    const { signal } = this.abort
    if (!this.looked) {
      this.resume = await findResumePoint(this.options.client, signal)
      this.looked = true
    }
    const { resume } = this
    const reason = this.lostReason
    this.lostReason = undefined
    if (reason === undefined) {
      const joined = await this.follower.join(this, resume?.provenance.source, signal)
      if (joined === true && resume && resume.nextIndex <= INDEX_MAX) {
        this.resume = undefined
        this.joined = this.lostReason === undefined
        this.lastSnapshotMs = resume.snapshotAtMs
        this.changedSinceSnapshot = true
        const { generation, nextIndex, previous } = resume
        this.place = { generation, end: this.newIndex(nextIndex), previous }
        this.options.log.info('continuing generation', { position: this.position })
        return
      }
      this.follower.leave(this)
      this.pending.clear()
      await this.beginGeneration(joined === true ? 'max index exceeded' : joined)
    } else {
      await this.beginGeneration(reason)
    }
  }

  private async beginGeneration(reason: string): Promise<void> {
    const generation = this.options.randomHex(8)
    this.options.log.info('sync: new generation', { generation, reason })
    try {
      await this.snapshot({ generation, end: this.newIndex(0), previous: undefined }, false)
    } catch (error) {
      this.follower.leave(this)
      this.joined = false
      this.pending.clear()
      this.dropOutgoing()
      this.lostReason ??= reason
      // An overlay without its snapshot is of no use to anybody.
      await this.options.client.delete([segmentKey(generation, 0, 0)]).catch(() => {})
      throw error
    }
    this.resume = undefined
  }

  private async snapshotNextIndex(): Promise<void> {
    const place = this.place as Place
    const { generation, end } = place
    if (end.index >= INDEX_MAX) {
      this.follower.leave(this)
      this.lost('max index exceeded')
      return
    }
    // An index must not be left behind without a segment.
    const previous = { index: end.index, offset: end.offset }
    const target = end.offset === 0 ? place : { generation, end: this.newIndex(end.index + 1), previous }
    await this.snapshot(target, true)
  }

  /** Upload a snapshot for `target`, an index with nothing in it. From its state on this shipper is told every change. */
  private async snapshot(target: Place, withinGeneration: boolean): Promise<void> {
    const { client, pool, spoolDirectory, clock, log, snapshotProgress } = this.options
    const copyAbort = new AbortController()
    const { signal } = copyAbort
    const abort = () => copyAbort.abort(this.abort.signal.reason)
    this.abort.signal.addEventListener('abort', abort)
    this.copyAbort = copyAbort
    const startMs = clock.monotonic()
    const key = snapshotKey(target.generation, target.end.index)
    const position = formatPosition({ generation: target.generation, ...target.end })
    const copy = new DatabaseCopy(this.follower, pool, spoolDirectory, signal)
    let provenance: Provenance | undefined
    log.info('write snapshot', { position })
    try {
      const finish = async ({ state, changes }: CopyEnd) => {
        // Within a generation the overlay follows the newest segment, for whoever restores from an older snapshot, and until this one
        // can be seen everybody does: it has to hold what came before the copy began as well. All of that is pending. A new generation
        // has nothing before the copy. Should the upload fail, it stays the next thing to ship, and is a segment like any other.
        const overlay = withinGeneration ? this.pending : changes
        if (withinGeneration) this.pending = this.newChangeset()
        for (const unused of [this.pending, changes]) if (unused !== overlay) unused.clear()
        this.pendingState = state
        this.joined = true
        this.lostReason = undefined
        this.place = target
        if (overlay.size > 0) {
          this.outgoing = { changes: overlay, state }
          this.place = await this.upload(overlay, state, target)
          this.dropOutgoing()
        }
        const overlayBytes = this.place.end.offset
        provenance = this.provenanceOf('snapshot', key, state, { overlayBytes, bytes: copy.bytes })
      }
      const pages = copy.pages(this, finish, snapshotProgress ?? (() => {}))
      const trailer = () => provenance && encodeProvenance(provenance)
      const stored = await client.put(key, encodeFrame(pages, { trailer, signal }), { signal })
      this.lastSnapshotMs = clock.now()
      this.changedSinceSnapshot = false
      const elapsed = new LogDuration(clock.monotonic() - startMs)
      log.info('snapshot written', { position, elapsed, sz: stored.size })
    } finally {
      this.abort.signal.removeEventListener('abort', abort)
      this.copyAbort = undefined
      copy.close()
    }
  }

  private async ship(outgoing: Outgoing): Promise<void> {
    const { generation, end } = this.place as Place
    const full = end.segments >= SEGMENTS_PER_INDEX_MAX || end.offset >= INDEX_BYTES_MAX
    if (full) {
      if (end.index >= INDEX_MAX) {
        this.follower.leave(this)
        this.dropOutgoing()
        this.lost('max index exceeded')
        return
      }
      const previous = { index: end.index, offset: end.offset }
      this.place = { generation, end: this.newIndex(end.index + 1), previous }
    }
    this.place = await this.upload(outgoing.changes, outgoing.state, this.place as Place)
    this.changedSinceSnapshot = true
    this.dropOutgoing()
  }

  /** Upload one segment; the place behind it. */
  private async upload(changes: Changeset, state: SourceState, place: Place): Promise<Place> {
    const { client, clock, log } = this.options
    const { signal } = this.abort
    const startMs = clock.monotonic()
    const { generation, end } = place
    const key = segmentKey(generation, end.index, end.offset)
    const position = formatPosition({ generation, ...end })
    const segment = encodeSegment(changes, state.pageCount, end)
    log.debug('write wal segment', { position })
    const previous = end.offset === 0 ? place.previous : undefined
    const provenance = this.provenanceOf('segment', key, state, { previous, bytes: segment.bytes })
    const trailer = () => encodeProvenance(provenance)
    await client.put(key, encodeFrame(segment.frames, { trailer, signal }), { signal })
    const elapsed = new LogDuration(clock.monotonic() - startMs)
    log.info('wal segment written', { position, elapsed, sz: segment.bytes })
    return { generation, end: segment.end(), previous: undefined }
  }

  private provenanceOf(
    kind: Provenance['kind'],
    key: string,
    state: SourceState,
    extra: Pick<Provenance, 'previous' | 'overlayBytes' | 'bytes'>,
  ): Provenance {
    const { pageSize, pageCount, observedAtMs, source } = state
    return {
      version: 1,
      program: PROGRAM,
      writer: this.writer,
      kind,
      key,
      pageSize,
      pageCount,
      observedAtMs,
      source,
      ...extra,
    }
  }

  private newIndex(index: number): IndexEnd {
    const salt = () => Number.parseInt(this.options.randomHex(4), 16)
    return openIndex(index, salt(), salt())
  }

  private newChangeset(): Changeset {
    return new Changeset(this.options.pool, this.options.spoolDirectory)
  }

  private dropOutgoing(): void {
    this.outgoing?.changes.clear()
    this.outgoing = undefined
  }

  private forget(): void {
    this.follower.leave(this)
    this.dropOutgoing()
    this.pending.clear()
  }

  private failed(error: unknown): number {
    const { clock, log } = this.options
    this.failures++
    this.lastError = error
    if (this.failures === 1) {
      this.failingSinceMs = clock.monotonic()
      log.error('monitor error', { error })
    }
    return backoffMs(this.failures, Number.parseInt(this.options.randomHex(4), 16) / 2 ** 32)
  }

  private recovered(): void {
    if (this.failures === 0) return
    const { clock, log } = this.options
    const elapsed = new LogDuration(clock.monotonic() - this.failingSinceMs)
    log.info('replica works again', { failures: this.failures, elapsed })
    this.failures = 0
    this.lastError = undefined
  }

  private async sleep(ms: number): Promise<void> {
    const { signal } = this.abort
    const forever = ms === Number.POSITIVE_INFINITY
    if (signal.aborted || (forever && (!this.joined || (this.pending.size > 0 && !this.inBatch)))) return
    let end: () => void = () => {}
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      end = () => resolve()
      if (!forever) timer = setTimeout(resolve, ms)
      // New changes do not shorten the pause after a failure or before the next sync; stopping and lost continuity do.
      this.wake = () => {
        if (forever || this.stopping || this.lostReason !== undefined) resolve()
      }
      signal.addEventListener('abort', end, { once: true })
    })
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    this.wake = undefined
  }
}
