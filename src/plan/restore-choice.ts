// Which generation of which replica a restore takes. Pure; asks about objects as restore-plan does.
//
// - Within a replica: for the newest state (and for an index) the generation that was written last (see last-written); for a moment,
//   of those that had begun by then, the one that reaches furthest towards it. A generation without a snapshot, as one is for a short time when it
//   begins, is left out as long as there is another.
// - Between replicas: the state that was observed last; at a tie the replica that was named first.
// - A replica that cannot serve is passed over when another one can, and is reported. A damaged generation is never silently
//   replaced by an older one of the same replica.

import type { Provenance } from '../model/provenance.js'
import { formatMoment, type RestoreTarget } from '../model/target.js'
import { type GenerationTimeline, newestObject, type StoredObject } from '../model/timeline.js'
import { lastWritten } from './last-written.js'
import { type Asking, momentOf, planGeneration, type Refusal, type RestorePlan } from './restore-plan.js'

/** `R` is however the caller tells replicas apart. */
export interface PlannedReplica<R> {
  readonly replica: R
  readonly plan: RestorePlan
  readonly timeline: GenerationTimeline
}

interface RefusedReplica<R> {
  readonly replica: R
  readonly refusal: Refusal
}

/** A question of the choice: which replica's object. */
interface ReplicaQuestion<R> {
  readonly replica: R
  readonly object: StoredObject
}

export interface RestoreChoice<R> {
  /** Best first. */
  readonly planned: readonly PlannedReplica<R>[]
  readonly refused: readonly RefusedReplica<R>[]
}

type ChoiceAsking<R, T> = Generator<ReplicaQuestion<R>, T, Provenance | undefined>

/** Replicas without any generation that was ever begun are neither planned nor refused: there is nothing in them. */
export function* chooseRestore<R>(
  replicas: readonly { readonly replica: R; readonly generations: readonly GenerationTimeline[] }[],
  target: RestoreTarget,
): ChoiceAsking<R, RestoreChoice<R>> {
  const ranked: { rankAtMs: number; entry: PlannedReplica<R> }[] = []
  const refused: RefusedReplica<R>[] = []
  for (const { replica, generations: found } of replicas) {
    const generations = found.filter((generation) => !isUnborn(generation))
    if (generations.length === 0) continue
    const picked = yield* asked(replica, pickGeneration(generations, target))
    if ('refusal' in picked) {
      refused.push({ replica, refusal: picked.refusal })
      continue
    }
    const outcome = yield* asked(replica, planGeneration(picked.timeline, target))
    if ('refusal' in outcome) {
      refused.push({ replica, refusal: outcome.refusal })
      continue
    }
    // An index names different moments in different generations: there the replica that was written last goes first.
    const newest = newestObject(picked.timeline) as StoredObject
    const rankAtMs = target.kind === 'index' ? yield* asked(replica, momentOf(newest)) : outcome.plan.stateAtMs
    ranked.push({ rankAtMs, entry: { replica, plan: outcome.plan, timeline: picked.timeline } })
  }
  ranked.sort((a, b) => b.rankAtMs - a.rankAtMs)
  return { planned: ranked.map(({ entry }) => entry), refused }
}

/**
 * What a writer leaves that dies while it begins a generation: the overlay of a snapshot that never became visible. Nothing could be
 * restored from it at any time, so nothing is missing.
 */
function isUnborn({ snapshots, segments }: GenerationTimeline): boolean {
  const [first] = segments
  return snapshots.length === 0 && segments.length === 1 && first?.index === 0 && first.offset === 0
}

type Picked = { readonly timeline: GenerationTimeline } | { readonly refusal: Refusal }

function* pickGeneration(generations: readonly GenerationTimeline[], target: RestoreTarget): Asking<Picked> {
  const restorable = generations.filter(({ snapshots }) => snapshots.length > 0)
  if (restorable.length === 0) {
    const names = generations.map(({ generation }) => generation).join(', ')
    return { refusal: { code: 'NOT_FOUND', message: `no snapshots available in generation ${names}` } }
  }
  if (target.kind !== 'time') return { timeline: yield* newestOf(restorable) }

  let best: { timeline: GenerationTimeline; reachesMs: number } | undefined
  let oldestMs = Number.POSITIVE_INFINITY
  for (const timeline of restorable) {
    const beginsMs = yield* momentOf(timeline.snapshots[0] as StoredObject)
    oldestMs = Math.min(oldestMs, beginsMs)
    if (beginsMs > target.atMs) continue
    const newestMs = yield* momentOf(newestObject(timeline) as StoredObject)
    const reachesMs = Math.min(target.atMs, newestMs)
    const further = !best || reachesMs > best.reachesMs
    const sameButLater = best?.reachesMs === reachesMs && timeline.lastAtMs > best.timeline.lastAtMs
    if (further || sameButLater) best = { timeline, reachesMs }
  }
  if (best) return { timeline: best.timeline }
  const newestMs = yield* momentOf(newestObject(yield* newestOf(restorable)) as StoredObject)
  const asks = formatMoment(target.atMs)
  const bounds = `the backups reach from ${formatMoment(oldestMs)} to ${formatMoment(newestMs)}`
  return { refusal: { code: 'NOT_FOUND', message: `nothing at or before ${asks}: ${bounds}` } }
}

function* newestOf(timelines: readonly GenerationTimeline[]): Asking<GenerationTimeline> {
  const written = timelines.map((timeline) => {
    return { timeline, newest: newestObject(timeline) as StoredObject, lastAtMs: timeline.lastAtMs }
  })
  return (yield* lastWritten(written)).timeline
}

/** Pass the questions of `asking` on as questions about this replica. */
function* asked<R, T>(replica: R, asking: Asking<T>): ChoiceAsking<R, T> {
  let step = asking.next()
  while (!step.done) step = asking.next(yield { replica, object: step.value })
  return step.value
}
