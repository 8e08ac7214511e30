// Writes one replica's objects and knows where it stands: generation, open index, and the end of what was acknowledged. Every object
// carries its provenance. Decides nothing; the shipper says what goes when.
//
// Invariant: `place` moves only by acknowledged uploads. An index is left behind only with at least one segment in it, because a
// restore wants every index from a snapshot's on to have some.

import type { Clock } from '../clock.js'
import { encodeFrame } from '../codec/frame.js'
import { LogDuration, type Logger } from '../logger.js'
import { segmentKey, snapshotKey } from '../model/layout.js'
import { formatPosition, INDEX_MAX } from '../model/position.js'
import { encodeProvenance, type Provenance } from '../model/provenance.js'
import type { ObjectInfo, ReplicaClient } from '../replica/client.js'
import type { Changeset } from '../source/changeset.js'
import { PROGRAM } from '../version.js'
import type { ReplicaDigests } from './digests.js'
import type { ReplicaRecord } from './replica-record.js'
import type { ResumePoint } from './resume-point.js'
import { encodeSegment, type IndexEnd, openIndex } from './segment.js'
import type { SourceState } from './sink.js'

/** Where a replica stands. */
export interface Place {
  readonly generation: string
  readonly end: IndexEnd
  /** The end of the index before the open one, while that one is empty. */
  readonly previous: { readonly index: number; readonly offset: number } | undefined
}

export interface ReplicaWriterOptions {
  readonly client: ReplicaClient
  readonly clock: Clock
  /** Random bytes as lowercase hex. */
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
  /** Told what was acknowledged; absent when nobody wants to heal by comparison. */
  readonly digests?: ReplicaDigests | undefined
  readonly record: ReplicaRecord
}

/** Compressed at the same time: enough to keep up, and the application's processors stay its own. */
const BLOCKS_IN_FLIGHT = 2
const SEGMENTS_PER_INDEX_MAX = 256
const INDEX_BYTES_MAX = 64 << 20

export function positionOf(place: Place): string {
  return formatPosition({ generation: place.generation, ...place.end })
}

export class ReplicaWriter {
  private readonly writer: string
  /** Undefined until a generation was begun or continued. */
  place: Place | undefined
  /** Objects that the store has acknowledged. */
  uploads = 0

  constructor(private readonly options: ReplicaWriterOptions) {
    this.writer = options.randomHex(8)
  }

  /** The first place of a generation of its own. */
  newGeneration(): Place {
    return { generation: this.options.randomHex(8), end: this.newIndex(0), previous: undefined }
  }

  continueFrom({ generation, nextIndex, previous }: ResumePoint): void {
    this.place = { generation, end: this.newIndex(nextIndex), previous }
  }

  /** The next index with nothing in it: the open one when it is empty. Undefined when the layout has no more. */
  nextIndex(): Place | undefined {
    const place = this.place as Place
    const { generation, end } = place
    if (end.offset === 0) return place
    if (end.index >= INDEX_MAX) return undefined
    return { generation, end: this.newIndex(end.index + 1), previous: { index: end.index, offset: end.offset } }
  }

  /** Where the next segment goes: a new index when the open one is full. */
  nextSegment(): Place | undefined {
    const { end } = this.place as Place
    const full = end.segments >= SEGMENTS_PER_INDEX_MAX || end.offset >= INDEX_BYTES_MAX
    return full ? this.nextIndex() : this.place
  }

  /** Upload a changeset as the segment at `place`, and stand behind it. */
  async writeSegment(changes: Changeset, state: SourceState, place: Place, signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.options
    const startMs = clock.monotonic()
    const { generation, end } = place
    const key = segmentKey(generation, end.index, end.offset)
    const position = positionOf(place)
    const staged = this.options.digests?.stage(changes.size)
    const segment = encodeSegment(changes, state.pageCount, end, staged?.put)
    log.debug('write wal segment', { position })
    const previous = end.offset === 0 ? place.previous : undefined
    const provenance = this.provenanceOf('segment', key, state, { previous, bytes: segment.bytes })
    const trailer = () => encodeProvenance(provenance)
    await client.put(key, encodeFrame(segment.frames, { trailer, signal, blocksInFlight: BLOCKS_IN_FLIGHT }), {
      signal,
    })
    const elapsed = new LogDuration(clock.monotonic() - startMs)
    log.info('wal segment written', { position, elapsed, sz: segment.bytes })
    this.options.record.uploaded(segment.bytes)
    this.uploads++
    this.place = { generation, end: segment.end(), previous: undefined }
    staged?.acknowledged({ generation, key, source: state.source }, state.pageCount)
  }

  /** Upload a snapshot of index `place`. `about` is asked when `pages` has ended: what the snapshot stands for. */
  async writeSnapshot(
    place: Place,
    pages: AsyncIterable<Uint8Array>,
    about: () => { readonly state: SourceState; readonly bytes: number; readonly overlayBytes: number },
    signal: AbortSignal,
  ): Promise<ObjectInfo> {
    const { client, clock, log } = this.options
    const startMs = clock.monotonic()
    const key = snapshotKey(place.generation, place.end.index)
    const position = positionOf(place)
    log.info('write snapshot', { position })
    const trailer = () => {
      const { state, ...extra } = about()
      return encodeProvenance(this.provenanceOf('snapshot', key, state, extra))
    }
    const stored = await client.put(key, encodeFrame(pages, { trailer, signal, blocksInFlight: BLOCKS_IN_FLIGHT }), {
      signal,
    })
    const elapsed = new LogDuration(clock.monotonic() - startMs)
    this.uploads++
    log.info('snapshot written', { position, elapsed, sz: stored.size })
    const { state, overlayBytes } = about()
    const { generation, end } = place
    const newest = overlayBytes > 0 ? segmentKey(generation, end.index, 0) : key
    this.options.digests?.snapshotAcknowledged({ generation, key: newest, source: state.source }, state.pageCount)
    this.options.record.snapshotStored({ key, size: stored.size, atMs: clock.now() })
    return stored
  }

  /**
   * An overlay whose snapshot never became visible is of no use to anybody. The snapshot goes first: a store that did not answer may
   * have it all the same, and without the overlay it is a mixture of states. Failing to delete them does no harm.
   */
  async deleteUnborn({ generation, end }: Place): Promise<void> {
    const { client } = this.options
    try {
      await client.delete([snapshotKey(generation, end.index)])
      await client.delete([segmentKey(generation, end.index, 0)])
    } catch {
      // What is left is the beginning of a generation that nobody restores from.
    }
  }

  private provenanceOf(
    kind: Provenance['kind'],
    key: string,
    { pageSize, pageCount, observedAtMs, source }: SourceState,
    extra: Pick<Provenance, 'previous' | 'overlayBytes' | 'bytes'>,
  ): Provenance {
    const { writer } = this
    return { version: 1, program: PROGRAM, writer, kind, key, pageSize, pageCount, observedAtMs, source, ...extra }
  }

  private newIndex(index: number): IndexEnd {
    const salt = () => Number.parseInt(this.options.randomHex(4), 16)
    return openIndex(index, salt(), salt())
  }
}
