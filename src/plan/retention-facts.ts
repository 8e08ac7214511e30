// What retention has to know of a replica, folded from one listing while it streams by: the snapshots of each generation, what lies
// before and behind each, and the few segments that may have to go. Memory grows with the snapshots, not with the segments.
//
// Nothing is decided here; retention-plan does.

import { parseKey } from '../model/layout.js'
import type { ListedObject, StoredObject, StoredSegment, StoredSnapshot } from '../model/timeline.js'

export interface SnapshotFacts {
  readonly snapshot: StoredSnapshot
  /**
   * The storage's newest time for anything of a lower index, all of which was written before the snapshot; -Infinity where there is
   * nothing. Times later than `believableMs` are left out: they say nothing.
   */
  readonly beforeAtMs: number
  /** The first segment from the snapshot's index on; undefined when there is none. */
  readonly first: StoredSegment | undefined
  /** The first segment from the snapshot's index on that the storage has a later time for than for the snapshot. */
  readonly later: StoredSegment | undefined
}

export interface GenerationFacts {
  readonly generation: string
  /** Ascending by index. */
  readonly snapshots: readonly SnapshotFacts[]
  /** The newest by place: the last segment, or the last snapshot where no segment follows it. */
  readonly newest: StoredObject
  /** The lowest that anything has. */
  readonly firstIndex: number
  /** The storage's time of the newest object by time. */
  readonly lastAtMs: number
  /** The last index that is missing, or whose first segment is; -1 when none is. */
  readonly brokenIndex: number
  /** From the first on, in order, every segment that may have to go. */
  readonly segments: readonly StoredSegment[]
  /** There are more such segments. They come next time. */
  readonly cut: boolean
}

export interface ReplicaFacts {
  readonly generations: readonly GenerationFacts[]
  /** The storage's newest time for an object that was there before this process; -Infinity when there is none. */
  readonly inheritedAtMs: number
}

/** The generation that this process writes, and the first index in it that has something of this process. */
export interface OwnGeneration {
  readonly generation: string
  readonly firstIndex: number
  /** The newest snapshot that this process knows to be stored. One of a higher index may still be written again. */
  readonly snapshotIndex: number
}

export interface FactsOptions {
  /**
   * The present, for a process that has run for the retention: what claims to be later has seen a wrong clock. Before that infinite: it may
   * be the present clock that is behind.
   */
  readonly believableMs: number
  /** Nothing that is newer than this will have to go. */
  readonly cutoffMs: number
  readonly own: OwnGeneration
  /** How many segments of one generation are remembered, so many that one index fits. */
  readonly segmentsMax?: number | undefined
}

/** About 6 MB. At a check each hour it is 28 times what a sync-interval of 5 s makes expire. */
const SEGMENTS_MAX = 20_000

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Fed with a listing in the order of its keys. */
export class FactsCollector {
  private readonly generations = new Map<string, GenerationCollector>()
  private inheritedAtMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: FactsOptions) {}

  add({ key, size, modifiedAtMs }: ListedObject): void {
    const name = parseKey(key)
    if (!name) return
    let generation = this.generations.get(name.generation)
    if (!generation) {
      generation = new GenerationCollector(name.generation, this.options)
      this.generations.set(name.generation, generation)
    }
    if (name.kind === 'snapshot') generation.addSnapshot({ ...name, key, size, modifiedAtMs })
    else generation.addSegment({ ...name, key, size, modifiedAtMs })
    const { own } = this.options
    const written = name.generation === own.generation && name.index >= own.firstIndex
    if (!written) this.inheritedAtMs = Math.max(this.inheritedAtMs, modifiedAtMs)
  }

  facts(): ReplicaFacts {
    const generations = [...this.generations.values()].map((one) => one.facts())
    return { generations, inheritedAtMs: this.inheritedAtMs }
  }
}

class GenerationCollector {
  private readonly snapshots: Writable<SnapshotFacts>[] = []
  private firstIndex = Number.POSITIVE_INFINITY
  private newestSegment: StoredSegment | undefined
  private lastAtMs = Number.NEGATIVE_INFINITY
  private brokenIndex = -1
  private readonly segments: StoredSegment[] = []
  private cut = false
  /** Nothing newer than the cutoff was seen: the generation may have to go as a whole. */
  private allOld = true
  /** Segments of lower indexes may have to go in any case. */
  private oldIndex = -1
  /** Of everything so far in lower indexes than the newest segment's. */
  private sane = Number.NEGATIVE_INFINITY
  /** Snapshots whose `first` is known, and snapshots whose `later` is not among them. */
  private reached = 0
  private waiting: Writable<SnapshotFacts>[] = []

  constructor(
    private readonly generation: string,
    private readonly options: FactsOptions,
  ) {}

  /** All of them come before the first segment. */
  addSnapshot(snapshot: StoredSnapshot): void {
    const { modifiedAtMs, index } = snapshot
    this.seen(index, modifiedAtMs)
    if (modifiedAtMs <= this.options.cutoffMs) this.oldIndex = index
    const last = this.snapshots.at(-1)
    const beforeAtMs = last
      ? Math.max(last.beforeAtMs, this.believable(last.snapshot.modifiedAtMs))
      : Number.NEGATIVE_INFINITY
    this.snapshots.push({ snapshot, beforeAtMs, first: undefined, later: undefined })
  }

  addSegment(segment: StoredSegment): void {
    const { index, offset, modifiedAtMs } = segment
    this.seen(index, modifiedAtMs)
    const before = this.newestSegment
    if (before?.index !== index) {
      if (before && index > before.index + 1) this.brokenIndex = index - 1
      if (offset !== 0) this.brokenIndex = index
    }
    this.reach(index, segment)
    this.sane = Math.max(this.sane, this.believable(modifiedAtMs))
    this.waiting = this.waiting.filter((facts) => {
      if (modifiedAtMs <= facts.snapshot.modifiedAtMs) return true
      facts.later = segment
      return false
    })
    this.newestSegment = segment
    this.remember(segment)
  }

  facts(): GenerationFacts {
    this.reach(Number.POSITIVE_INFINITY, undefined)
    const { generation, snapshots, newestSegment, firstIndex, lastAtMs, brokenIndex, segments, cut } = this
    const snapshot = snapshots.at(-1)?.snapshot
    const onSegment = newestSegment && newestSegment.index >= (snapshot?.index ?? 0)
    const newest = (onSegment ? newestSegment : snapshot) as StoredObject
    return { generation, snapshots, newest, firstIndex, lastAtMs, brokenIndex, segments, cut }
  }

  /** The snapshots up to `index` have everything of lower indexes behind them. */
  private reach(index: number, segment: StoredSegment | undefined): void {
    for (; this.reached < this.snapshots.length; this.reached++) {
      const facts = this.snapshots[this.reached] as Writable<SnapshotFacts>
      if (facts.snapshot.index > index) return
      facts.beforeAtMs = Math.max(facts.beforeAtMs, this.sane)
      facts.first = segment
      this.waiting.push(facts)
    }
  }

  private remember(segment: StoredSegment): void {
    if (segment.index >= this.oldIndex && !this.allOld) {
      // Only what a snapshot stands behind may go, then.
      const kept = this.segments.findIndex(({ index }) => index >= this.oldIndex)
      if (kept >= 0) {
        this.segments.length = kept
        this.cut = false
      }
      return
    }
    if (this.segments.length < (this.options.segmentsMax ?? SEGMENTS_MAX)) this.segments.push(segment)
    else this.cut = true
  }

  private seen(index: number, modifiedAtMs: number): void {
    this.firstIndex = Math.min(this.firstIndex, index)
    this.lastAtMs = Math.max(this.lastAtMs, modifiedAtMs)
    if (modifiedAtMs > this.options.cutoffMs) this.allOld = false
  }

  private believable(modifiedAtMs: number): number {
    return modifiedAtMs <= this.options.believableMs ? modifiedAtMs : Number.NEGATIVE_INFINITY
  }
}
