// Writes one replica's objects and knows where it stands: generation, open index, and the end of what was acknowledged. Every object
// carries its provenance. Decides nothing; the shipper says what goes when.
//
// Invariants: `place` moves only by acknowledged uploads. An index is left behind only with at least one segment in it, because a
// restore wants every index from a snapshot's on to have some.
//
// One writer: a segment is written only where none is (see claim), and before anything is written to index I+1, index I is closed at
// its end by an empty segment. Whoever wants to go on in index I then finds the key of its next segment taken, whoever closed it
// first goes on, and two writers that both know I as closed meet at the first segment of I+1. Snapshots need no claim: that of index
// I+1 is the state at the closed end of I, with the segment at offset 0 behind it if it has an overlay, whoever wrote either of them.
// A store without conditional writes has no claims; there the shipper goes on only behind the mark of a clean stop.

import { present, type TimerClock } from '../clock.js'
import { encodeFrame } from '../codec/frame.js'
import { LogDuration, type Logger } from '../logger.js'
import { segmentKey, snapshotKey } from '../model/layout.js'
import { formatPosition, INDEX_MAX } from '../model/position.js'
import { encodeProvenance, type Provenance, readBefore, type Uptime } from '../model/provenance.js'
import type { ObjectInfo, ReplicaClient } from '../replica/client.js'
import type { Changeset } from '../source/changeset.js'
import { PROGRAM } from '../version.js'
import { Away } from './away.js'
import { claim } from './claim.js'
import type { ReplicaDigests } from './digests.js'
import type { ReplicaRecord } from './replica-record.js'
import type { PreviousIndex, ResumePoint } from './resume-point.js'
import { encodeSegment, type IndexEnd, openIndex } from './segment.js'
import type { SourceState } from './sink.js'
import { Unborn } from './unborn.js'

/** Where a replica stands. */
export interface Place {
  readonly generation: string
  readonly end: IndexEnd
  /** The end of the index before the open one, while that one is empty. */
  readonly previous: PreviousIndex | undefined
}

export interface ReplicaWriterOptions {
  readonly client: ReplicaClient
  readonly clock: TimerClock
  /** Random bytes as lowercase hex. */
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
  /** See away. */
  readonly certainForMs: number
  /** Told what was acknowledged; absent when nobody wants to heal by comparison. */
  readonly digests?: ReplicaDigests | undefined
  readonly record: ReplicaRecord
  /** This machine's name, for whoever meets what we wrote. */
  readonly host?: string | undefined
}

const SEGMENTS_PER_INDEX_MAX = 256
const INDEX_BYTES_MAX = 64 << 20

export function positionOf(place: Place): string {
  return formatPosition({ generation: place.generation, ...place.end })
}

export class ReplicaWriter {
  /** Our name in every object. */
  readonly writer: string
  /** Undefined until a generation was begun or continued. */
  place: Place | undefined
  /** The store honours conditional writes. */
  conditional = true
  /** As whoever looks for a place to resume will find it. */
  newestKey: string | undefined
  /** Of the newest snapshot of the generation that is known to be stored. */
  snapshotIndex = -1
  /** When the generation was begun: its first copy is of a state from then on. Undefined for one that was continued. */
  private begunAt: Uptime | undefined
  /** Key of the empty segment that was asked to close the open index, and may be there although nobody said so. */
  private closing: string | undefined
  /** What the newest object stands for. */
  private state: SourceState | undefined
  private readonly away: Away
  /** All bytes of the newest snapshot were given to the store. */
  private snapshotSent = false
  private readonly unborn: Unborn

  constructor(private readonly options: ReplicaWriterOptions) {
    this.writer = options.randomHex(8)
    this.unborn = new Unborn(options.client, options.clock)
    this.away = new Away(options)
  }

  /** The first place of a generation of its own. */
  newGeneration(): Place {
    this.begunAt = this.options.clock.uptime()
    return { generation: this.options.randomHex(8), end: this.newIndex(0), previous: undefined }
  }

  continueFrom({ generation, nextIndex, previous, newestKey, provenance, snapshot }: ResumePoint): void {
    this.begunAt = undefined
    this.place = { generation, end: this.newIndex(nextIndex), previous }
    this.away.heardOf(undefined)
    this.away.snapshotSeen()
    this.newestKey = newestKey
    this.snapshotIndex = snapshot.index
    const { pageSize, pageCount, observedAtMs, uptime, source } = provenance
    this.state = { pageSize, pageCount, observedAtMs, uptime, source }
  }

  /** The next index with nothing in it: the open one when it is empty. The one before is closed. Undefined when the layout has no more. */
  async nextIndex(signal: AbortSignal): Promise<Place | undefined> {
    await this.lookAround(signal)
    let place = this.place as Place
    const { generation, end } = place
    if (end.offset > 0) {
      if (end.index >= INDEX_MAX) return undefined
      const previous = { index: end.index, offset: end.offset, closed: false }
      place = { generation, end: this.newIndex(end.index + 1), previous }
    }
    const { previous } = place
    if (previous && !previous.closed) {
      await this.close(generation, previous, signal)
      place = { ...place, previous: { ...previous, closed: true } }
    }
    this.place = place
    return place
  }

  /** The layout has names for what comes next. */
  get namesLeft(): boolean {
    return this.place === undefined || this.place.end.index < INDEX_MAX || !this.full(this.place.end)
  }

  private full({ segments, offset }: IndexEnd): boolean {
    return segments >= SEGMENTS_PER_INDEX_MAX || offset >= INDEX_BYTES_MAX
  }

  /** Where the next segment goes: a new index when the open one is full, or perhaps closed already. */
  async nextSegment(signal: AbortSignal): Promise<Place | undefined> {
    const { generation, end } = this.place as Place
    const closing = this.closing === segmentKey(generation, end.index, end.offset)
    if (this.full(end) || end.offset === 0 || closing) return await this.nextIndex(signal)
    await this.lookAround(signal)
    return this.place
  }

  private async lookAround(signal: AbortSignal): Promise<void> {
    const { generation, end } = this.place as Place
    if (this.conditional) await this.away.look(generation, end.index, signal)
  }

  /** An empty segment at the end of the index: it stands for what the segment before it stands for. */
  private async close(generation: string, { index, offset }: PreviousIndex, signal: AbortSignal): Promise<void> {
    if (!this.conditional) return
    const key = segmentKey(generation, index, offset)
    const provenance = this.provenanceOf('segment', key, this.state as SourceState, { bytes: 0 })
    const body = encodeFrame(nothing(), { trailer: () => encodeProvenance(provenance), signal })
    const { client, clock } = this.options
    const askedAt = present(clock)
    this.closing = key
    await claim(client, provenance, body, signal)
    this.closing = undefined
    this.away.heardOf(askedAt)
    this.newestKey = key
    this.options.digests?.closedBy(key)
    this.options.log.debug('wal index closed', { position: formatPosition({ generation, index, offset }) })
  }

  /** Upload a changeset as the segment at `place`, and stand behind it. */
  async writeSegment(changes: Changeset, state: SourceState, place: Place, signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.options
    const startedAt = present(clock)
    const { generation, end } = place
    const key = segmentKey(generation, end.index, end.offset)
    const position = positionOf(place)
    const staged = this.options.digests?.stage(changes.size)
    const segment = encodeSegment(changes, state.pageCount, end, staged?.put)
    log.debug('write wal segment', { position })
    const before = end.offset === 0 ? place.previous : undefined
    const previous = endOf(before)
    const provenance = this.provenanceOf('segment', key, state, { previous, bytes: segment.bytes })
    const trailer = () => encodeProvenance(provenance)
    const frames = inTurns(segment.frames, clock)
    const options = { trailer, signal, contentBytes: segment.bytes }
    const body = encodeFrame(frames, options)
    if (this.conditional) await claim(client, provenance, body, signal)
    else await client.put(key, body, { signal })
    this.away.heardOf(startedAt)
    const elapsed = new LogDuration(clock.monotonic() - startedAt.monotonicMs)
    log.info('wal segment written', { position, elapsed, sz: segment.bytes })
    this.options.record.uploaded(segment.bytes)
    this.place = { generation, end: segment.end(), previous: undefined }
    staged?.acknowledged({ generation, key, source: state.source }, state.pageCount)
    this.newestKey = key
    this.state = state
  }

  /** Upload a snapshot of index `place`. `about` is asked when `pages` has ended: what the snapshot stands for. `sizeEstimate`: see put. */
  async writeSnapshot(
    place: Place,
    pages: AsyncIterable<Uint8Array>,
    about: () => { readonly state: SourceState; readonly bytes: number; readonly overlayBytes: number },
    signal: AbortSignal,
    sizeEstimate?: number,
  ): Promise<ObjectInfo> {
    const { client, clock, log } = this.options
    const startMs = clock.monotonic()
    const key = snapshotKey(place.generation, place.end.index)
    const position = positionOf(place)
    log.info('write snapshot', { position })
    const trailer = () => {
      const { state, ...extra } = about()
      return encodeProvenance(this.provenanceOf('snapshot', key, state, { ...extra, previous: endOf(place.previous) }))
    }
    this.snapshotSent = false
    const frame = encodeFrame(pages, { trailer, signal, contentBytesEstimate: sizeEstimate })
    const ended = () => {
      this.snapshotSent = true
    }
    const stored = await client.put(key, whole(frame, ended), { signal, sizeEstimate })
    this.away.snapshotSeen()
    const { state, overlayBytes } = about()
    const { generation, end } = place
    const newest = overlayBytes > 0 ? segmentKey(generation, end.index, 0) : key
    this.newestKey = newest
    this.snapshotIndex = end.index
    this.state = state
    const elapsed = new LogDuration(clock.monotonic() - startMs)
    log.info('snapshot written', { position, elapsed, sz: stored.size })
    this.options.digests?.snapshotAcknowledged({ generation, key: newest, source: state.source }, state.pageCount)
    this.options.record.snapshotStored({ key, size: stored.size, atMs: clock.now() })
    return stored
  }

  /** The snapshot that was to begin a generation has failed: its overlay, if there is one, is of no use. */
  async giveUp({ generation, end }: Place): Promise<void> {
    const overlay = this.place?.generation === generation && this.place.end.offset > 0
    if (overlay) await this.unborn.add(generation, end.index, this.snapshotSent)
  }

  /** Now and then, while the store works. */
  sweep(): Promise<void> {
    return this.unborn.sweep()
  }

  private provenanceOf(
    kind: Provenance['kind'],
    key: string,
    { pageSize, pageCount, observedAtMs, uptime, source }: SourceState,
    extra: Pick<Provenance, 'previous' | 'overlayBytes' | 'bytes'>,
  ): Provenance & { readonly key: string } {
    const { writer, begunAt } = this
    const { host } = this.options
    return {
      version: 1,
      program: PROGRAM,
      writer,
      host,
      kind,
      key,
      pageSize,
      pageCount,
      observedAtMs,
      uptime: readBefore(uptime, begunAt) ? begunAt : uptime,
      source,
      ...extra,
    }
  }

  private newIndex(index: number): IndexEnd {
    const salt = () => Number.parseInt(this.options.randomHex(4), 16)
    return openIndex(index, salt(), salt())
  }
}

const endOf = (previous: PreviousIndex | undefined) => previous && { index: previous.index, offset: previous.offset }

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Calls `ended` when the last of `body` was taken. */
async function* whole(body: AsyncIterable<Uint8Array>, ended: () => void): AsyncGenerator<Uint8Array> {
  yield* body
  ended()
}

/** Encoding a large segment must not keep the followers from looking at their databases in time. */
async function* inTurns(pieces: AsyncIterable<Buffer>, clock: TimerClock): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    await clock.turn()
  }
}
