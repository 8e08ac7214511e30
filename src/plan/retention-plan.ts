// What may be deleted from a replica, and in which order. The promise: every moment of the window [now - retention, now] is restored
// to the state that it was restored to before, until the window has passed it; so is the newest state, always.
//
// What the window needs. In each generation, a snapshot from the window's beginning or before, the newest such (the *base*), and
// everything from it on. A generation that has ended goes as a whole when nothing in it is of the window, and a generation that was
// written later has a base: then that one serves every moment of the window, and reaches further. The generation that this process
// writes never goes. One without any snapshot (its beginner died) is dead when it is older than a day, and another was written since.
//
// When an object is of. The later of two times counts: the storage's, by which Litestream 0.3.13 restores, and the one in its
// provenance, by which we do. A snapshot whose times are before those of what was written before it has seen a wrong clock, and is
// no base. A snapshot of another program is a base only when a segment had made it whole before the window. A snapshot of ours that is not known to be stored is none: it is
// written again, with a later state.
//
// In which order. Any prefix of the deletions, and any part of a batch, leaves every remaining object usable to whoever lists after it:
//   1. snapshots: each that is left still has all of its segments. (The other way round one would restore to a state that is too
//      old, without anybody noticing.)
//   2. the segments that nothing needs any more, those at offset 0 last, because 0.3.13 refuses a generation in which some index does
//      not begin at 0, even an index that it does not use.
//
// A generator that asks about single objects, as restore-plan does; mostly it asks nothing.

import { readBefore } from '../model/provenance.js'
import type { StoredObject, StoredSegment, StoredSnapshot } from '../model/timeline.js'
import { type Asking, momentIn, momentOf } from './restore-plan.js'
import type { GenerationFacts, OwnGeneration, ReplicaFacts, SnapshotFacts } from './retention-facts.js'

export interface RetentionQuestion {
  readonly facts: ReplicaFacts
  readonly own: OwnGeneration
  /** The present as far as it is proven; see retention-clock. */
  readonly nowMs: number
  readonly retentionMs: number
}

export interface Removal {
  readonly generation: string
  /** `expired`: what is before `beforeIndex`. The others are whole generations. */
  readonly reason: 'expired' | 'covered by a later generation' | 'never had a snapshot'
  readonly beforeIndex: number
  readonly snapshots: readonly StoredSnapshot[]
  readonly segments: readonly StoredSegment[]
  /** There are more segments, for the next time. */
  readonly cut: boolean
}

export interface RetentionPlan {
  readonly removals: readonly Removal[]
  /** Keys. One batch after the other; within a batch the order does not matter. */
  readonly batches: readonly (readonly string[])[]
  /** Before this moment nothing of what is there now will have to go; infinite: never. */
  readonly nextDueMs: number
}

const BATCH_KEYS = 1000
/** Clocks differ by less; S3 refuses requests from those that differ by more. A snapshot's time may also be that of its upload's beginning. */
const DISORDER_MS_MAX = 15 * 60_000
/** The first snapshot of a database may take hours, and its overlay waits for it at the end of that. */
const UNBORN_MS_MIN = 24 * 3_600_000

export function* planRetention({ facts, own, nowMs, retentionMs }: RetentionQuestion): Asking<RetentionPlan> {
  const cutoffMs = nowMs - retentionMs
  let nextDueMs = Number.POSITIVE_INFINITY
  /** Something may have to go when this moment is the cutoff. */
  const later = (atMs: number): void => {
    if (atMs > cutoffMs) nextDueMs = Math.min(nextDueMs, atMs + retentionMs)
  }
  const removals: Removal[] = []
  const remove = (one: GenerationFacts, reason: Removal['reason'], beforeIndex = Number.POSITIVE_INFINITY): void => {
    const snapshots = one.snapshots.map(({ snapshot }) => snapshot).filter(({ index }) => index < beforeIndex)
    const segments = one.segments.filter(({ index }) => index < beforeIndex)
    const cut = one.cut && segments.length === one.segments.length
    if (cut) nextDueMs = Number.NEGATIVE_INFINITY
    removals.push({ generation: one.generation, reason, beforeIndex, snapshots, segments, cut })
  }

  const lastFirst = facts.generations.map((one) => settledOf(one, own)).sort((a, b) => b.lastAtMs - a.lastAtMs)
  for (const generation of lastFirst) {
    if (generation.snapshots.length === 0) {
      const deadAtMs = generation.lastAtMs + Math.max(retentionMs, UNBORN_MS_MIN)
      const others = lastFirst.some((one) => one.snapshots.length > 0 && one.lastAtMs > generation.lastAtMs)
      if (generation.generation === own.generation || !others) continue
      if (deadAtMs <= nowMs) remove(generation, 'never had a snapshot')
      else nextDueMs = Math.min(nextDueMs, deadAtMs)
      continue
    }
    if (generation.generation !== own.generation && (yield* isCovered(generation, lastFirst, cutoffMs, later))) {
      remove(generation, 'covered by a later generation')
      continue
    }
    const base = yield* baseOf(generation, cutoffMs, later, false)
    if (base) remove(generation, 'expired', base.snapshot.index)
  }
  return { removals, batches: batchesOf(removals), nextDueMs }
}

/**
 * The newest snapshot that everything before the cutoff can be given up for; undefined when there is none, or (unless `always`) nothing
 * to gain by it.
 */
function* baseOf(
  { snapshots, firstIndex }: GenerationFacts,
  cutoffMs: number,
  later: (atMs: number) => void,
  always: boolean,
): Asking<SnapshotFacts | undefined> {
  for (const facts of snapshots.toReversed()) {
    const { snapshot, beforeAtMs } = facts
    if (!always && snapshot.index <= firstIndex) return undefined
    const listedMs = Math.max(snapshot.modifiedAtMs, beforeAtMs)
    if (listedMs > cutoffMs) {
      later(listedMs)
      continue
    }
    const provenance = yield snapshot
    const atMs = Math.max(snapshot.modifiedAtMs, provenance?.observedAtMs ?? Number.NEGATIVE_INFINITY)
    if (atMs < beforeAtMs - DISORDER_MS_MAX) continue
    if (atMs > cutoffMs) {
      later(atMs)
      continue
    }
    if (provenance) {
      const overlay = facts.first?.index === snapshot.index && facts.first.offset === 0
      if (!provenance.overlayBytes || overlay) return facts
    } else if (facts.later) {
      const wholeAtMs = yield* latestTimeOf(facts.later)
      later(wholeAtMs)
      const moment = yield* momentOf(facts.later)
      if (moment > snapshot.modifiedAtMs && wholeAtMs <= cutoffMs) return facts
    }
  }
  return undefined
}

/** Nothing in the generation is of the window, and one that was written later has a base and no visible hole behind it. */
function* isCovered(
  generation: GenerationFacts,
  lastFirst: readonly GenerationFacts[],
  cutoffMs: number,
  later: (atMs: number) => void,
): Asking<boolean> {
  const candidates = lastFirst.filter((one) => one.snapshots.length > 0 && one.lastAtMs > generation.lastAtMs)
  if (candidates.length === 0) return false
  if (generation.lastAtMs > cutoffMs) {
    later(generation.lastAtMs)
    return false
  }
  for (const candidate of candidates) {
    const base = yield* baseOf(candidate, cutoffMs, later, true)
    if (!base || hasHole(candidate, base)) continue
    const endsAtMs = yield* latestTimeOf(generation.newest)
    later(endsAtMs)
    if (endsAtMs <= cutoffMs && (yield* reachesAsFar(candidate.newest, generation.newest))) return true
  }
  return false
}

/** Without the snapshots that may be written again with a later state. */
function settledOf(facts: GenerationFacts, own: OwnGeneration): GenerationFacts {
  if (facts.generation !== own.generation) return facts
  return { ...facts, snapshots: facts.snapshots.filter(({ snapshot }) => snapshot.index <= own.snapshotIndex) }
}

function* reachesAsFar(candidate: StoredObject, other: StoredObject): Asking<boolean> {
  const [ofCandidate, ofOther] = [yield candidate, yield other]
  const before = readBefore(ofCandidate?.uptime, ofOther?.uptime)
  return before === undefined ? momentIn(candidate, ofCandidate) >= momentIn(other, ofOther) : !before
}

function* latestTimeOf(object: StoredObject): Asking<number> {
  return Math.max(object.modifiedAtMs, yield* momentOf(object))
}

function hasHole({ brokenIndex }: GenerationFacts, { snapshot, first }: SnapshotFacts): boolean {
  return first !== undefined && (first.index !== snapshot.index || brokenIndex >= snapshot.index)
}

function batchesOf(removals: readonly Removal[]): string[][] {
  const snapshots = removals.flatMap((removal) => removal.snapshots)
  const inner: StoredSegment[] = []
  const first: StoredSegment[] = []
  for (const { segments, cut } of removals) {
    // An index that goes on behind the segments that we know of keeps its first one.
    const unfinished = cut ? segments.at(-1)?.index : undefined
    for (const segment of segments) {
      if (segment.offset !== 0) inner.push(segment)
      else if (segment.index !== unfinished) first.push(segment)
    }
  }
  return [snapshots, inner, first].flatMap((objects) => {
    const batches: string[][] = []
    for (let at = 0; at < objects.length; at += BATCH_KEYS)
      batches.push(objects.slice(at, at + BATCH_KEYS).map(({ key }) => key))
    return batches
  })
}
