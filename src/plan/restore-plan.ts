// Which objects a restore needs: a decision, made of listings and of what single objects say about themselves.
//
// The planner is a generator: it yields each object that it wants to know more about and is resumed with that object's provenance
// (undefined for an object of another program). So it stays a pure function, reads as one, and costs one small read per
// question: a search among thousands of segments asks about a dozen.
//
// Rules, where they differ from Litestream 0.3.13:
// - The snapshot is chosen by its index, never by the storage's time for it.
// - A moment is when a state was observed (provenance), and the storage's time only for objects that do not say. A moment after the
//   newest means the newest; one before the oldest is refused with the bounds.
// - An index beyond the newest is refused, naming the newest (0.3.13 silently restores the newest); 7fffffff means "no limit".
// - A snapshot without provenance may hold pages newer than itself until a segment from after it is applied (it is "unsettled").
//   An older one that is settled is preferred; where there is none the plan says so and the result must be checked.

import { segmentKey } from '../model/layout.js'
import { INDEX_MAX } from '../model/position.js'
import type { Provenance } from '../model/provenance.js'
import { formatMoment, type RestoreTarget } from '../model/target.js'
import {
  firstMissing,
  firstSegmentAt,
  type GenerationTimeline,
  newestIndex,
  newestObject,
  type StoredObject,
  type StoredSegment,
  type StoredSnapshot,
} from '../model/timeline.js'

export interface RestorePlan {
  readonly generation: string
  readonly snapshot: StoredSnapshot
  /** From offset 0 of the snapshot's index to the target, in order. */
  readonly segments: readonly StoredSegment[]
  /** The moment that the result stands for. */
  readonly stateAtMs: number
  /** False: the snapshot alone may be a mixture of states, and nothing shows that the segments make it whole. */
  readonly settled: boolean
  /** The snapshot carries provenance, so it was written by this program and is exact. */
  readonly recorded: boolean
  /** Uncompressed bytes of the snapshot, where it says how many. */
  readonly snapshotBytes?: number | undefined
}

export interface Refusal {
  /** NOT_FOUND: the target is not in the replica. CORRUPT: something that is needed for it is gone. */
  readonly code: 'NOT_FOUND' | 'CORRUPT'
  readonly message: string
}

export type PlanOutcome = { readonly plan: RestorePlan } | { readonly refusal: Refusal }

/** Asks about objects; see the file's comment. */
export type Asking<T> = Generator<StoredObject, T, Provenance | undefined>

const hex8 = (index: number): string => index.toString(16).padStart(8, '0')

const refuse = (code: Refusal['code'], message: string): PlanOutcome => ({ refusal: { code, message } })

/** When the state that the object stands for was observed. */
export function* momentOf(object: StoredObject): Asking<number> {
  return momentIn(object, yield object)
}

/** The same where it is known what the object says. */
export function momentIn(object: StoredObject, said: Provenance | undefined): number {
  return said?.observedAtMs ?? object.modifiedAtMs
}

/** The plan for one generation. Snapshots with an index in `excluded` are not used. */
export function* planGeneration(
  timeline: GenerationTimeline,
  target: RestoreTarget,
  excluded: ReadonlySet<number> = new Set(),
): Asking<PlanOutcome> {
  const { generation, segments } = timeline
  const snapshots = timeline.snapshots.filter(({ index }) => !excluded.has(index))
  const oldest = snapshots[0]
  if (!oldest) return refuse('NOT_FOUND', `no snapshots available in generation ${generation}`)

  let usable = snapshots
  let reachable = segments
  if (target.kind === 'index') {
    const newest = newestIndex(timeline)
    if (target.index > newest && target.index !== INDEX_MAX) {
      const message = `index ${hex8(target.index)} is beyond the newest of generation ${generation}, which is ${hex8(newest)}`
      return refuse('NOT_FOUND', message)
    }
    usable = snapshots.filter(({ index }) => index <= target.index)
    reachable = segments.slice(0, firstSegmentAt(segments, target.index + 1))
    if (usable.length === 0) {
      const message = `no snapshot at or before index ${hex8(target.index)} in generation ${generation}; the oldest is ${hex8(oldest.index)}`
      return refuse('NOT_FOUND', message)
    }
  } else if (target.kind === 'time') {
    const count = yield* countObservedBy(snapshots, target.atMs)
    usable = snapshots.slice(0, count)
    if (count === 0) {
      const bounds = yield* boundsOf(timeline)
      return refuse(
        'NOT_FOUND',
        `nothing at or before ${formatMoment(target.atMs)} in generation ${generation}${bounds}`,
      )
    }
  }

  // An older snapshot needs all that a newer one needs and more: where one cannot be used, neither can those before it.
  let unsettled: PlanOutcome | undefined
  for (const snapshot of usable.toReversed()) {
    const outcome = yield* planFrom(snapshot, reachable, target)
    if ('refusal' in outcome) return unsettled ?? outcome
    if (outcome.plan.settled) return outcome
    unsettled ??= outcome
  }
  return unsettled as PlanOutcome
}

function* planFrom(
  snapshot: StoredSnapshot,
  reachable: readonly StoredSegment[],
  target: RestoreTarget,
): Asking<PlanOutcome> {
  const provenance = yield snapshot
  let segments = reachable.slice(firstSegmentAt(reachable, snapshot.index))
  const snapshotAtMs = yield* momentOf(snapshot)
  const overlay = segments[0]?.index === snapshot.index && segments[0].offset === 0 ? segments[0] : undefined
  if (provenance?.overlayBytes && !overlay) {
    const missing = segmentKey(snapshot.generation, snapshot.index, 0)
    return refuse('CORRUPT', `${missing} is missing: the snapshot ${snapshot.key} is exact only together with it`)
  }
  if (target.kind === 'time') {
    const count = yield* countObservedBy(segments, target.atMs)
    segments = segments.slice(0, Math.max(count, provenance?.overlayBytes ? 1 : 0))
  }
  const missing = firstMissing(segments, snapshot.generation, snapshot.index)
  if (missing) return refuse('CORRUPT', `${missing} is missing: the restore needs every index from its snapshot on`)
  const last = segments.at(-1)
  const lastAtMs = last ? yield* momentOf(last) : snapshotAtMs
  const recorded = provenance !== undefined
  const settled = recorded || (last !== undefined && lastAtMs > snapshotAtMs)
  const stateAtMs = Math.max(lastAtMs, snapshotAtMs)
  const snapshotBytes = provenance?.bytes
  return { plan: { generation: snapshot.generation, snapshot, segments, stateAtMs, settled, recorded, snapshotBytes } }
}

/** How many of `objects`, which ascend in time, were observed by `atMs`. Where their times do not ascend: up to some such edge. */
function* countObservedBy(objects: readonly StoredObject[], atMs: number): Asking<number> {
  let low = 0
  let high = objects.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((yield* momentOf(objects[middle] as StoredObject)) <= atMs) low = middle + 1
    else high = middle
  }
  return low
}

function* boundsOf(timeline: GenerationTimeline): Asking<string> {
  const oldest = timeline.snapshots[0]
  const newest = newestObject(timeline)
  if (!oldest || !newest) return ''
  const from = formatMoment(yield* momentOf(oldest))
  return `, which reaches from ${from} to ${formatMoment(yield* momentOf(newest))}`
}
