// The retention plan against the real restore planner: whatever it could restore of the window before, it restores to the very same
// objects after every single deletion, in any order that a batch allows. Small random replicas: several generations and writers,
// slow uploads, ours and other programs', damaged ones, beginnings that were given up.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseKey, segmentKey, snapshotKey } from '../../src/model/layout.js'
import type { Provenance } from '../../src/model/provenance.js'
import type { RestoreTarget } from '../../src/model/target.js'
import { buildTimelines, type ListedObject } from '../../src/model/timeline.js'
import { chooseRestore } from '../../src/plan/restore-choice.js'
import { FactsCollector } from '../../src/plan/retention-facts.js'
import { planRetention, type RetentionPlan } from '../../src/plan/retention-plan.js'

interface Item extends ListedObject {
  readonly observedAtMs: number
  readonly overlay: boolean
  readonly ours: boolean
}

interface World {
  readonly items: readonly Item[]
  readonly own: string
  readonly nowMs: number
  readonly retentionMs: number
  /** Decides the order within a batch. */
  readonly shuffle: readonly number[]
}

const nameOf = (place: number): string => place.toString(16).padStart(16, '0')

const generation = fc.record({
  ours: fc.boolean(),
  /** After the end of the one before; negative: two writers at the same time. */
  gap: fc.integer({ min: -6, max: 6 }),
  firstIndex: fc.nat(2),
  begun: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  indexes: fc.array(
    fc.record({
      snapshot: fc.boolean(),
      overlay: fc.boolean(),
      copyTakes: fc.nat(2),
      segments: fc.integer({ min: 1, max: 3 }),
      steps: fc.array(fc.nat(3), { minLength: 4, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
})

const world: fc.Arbitrary<World> = fc
  .record({
    generations: fc.array(generation, { minLength: 1, maxLength: 3 }),
    own: fc.nat(3),
    /** The storage's clock minus ours, and how long an upload takes. */
    skew: fc.integer({ min: -2, max: 3 }),
    lost: fc.array(fc.nat(25), { maxLength: 1 }),
    damaged: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
    sinceLast: fc.nat(12),
    retention: fc.integer({ min: 1, max: 25 }),
    unitMs: fc.constantFrom(1, 3_600_000),
    shuffle: fc.array(fc.nat(1000), { minLength: 7, maxLength: 7 }),
  })
  .map(({ generations, own, skew, lost, damaged, sinceLast, retention, unitMs, shuffle }) => {
    const items: Item[] = []
    let now = 100
    let last = now
    for (const [place, { ours, gap, firstIndex, begun, indexes }] of generations.entries()) {
      now = Math.max(1, last + gap)
      const add = (key: string, observed: number, modified: number, overlay = false): void => {
        const times = { observedAtMs: observed * unitMs, modifiedAtMs: (modified + skew) * unitMs }
        items.push({ key, size: 1, ...times, overlay, ours })
      }
      for (const [at, one] of indexes.entries()) {
        const index = firstIndex + at
        const steps = one.steps.values()
        const tick = (): void => {
          now += steps.next().value ?? 0
        }
        tick()
        const snapshot = at === 0 ? begun : one.snapshot && begun
        if (snapshot) {
          // The storage counts from the beginning of an upload, the state is that of its end.
          add(snapshotKey(nameOf(place), index), now + one.copyTakes, now, one.overlay)
          now += one.copyTakes
        }
        for (let segment = 0; segment < one.segments; segment++) {
          const ofSnapshot = snapshot && one.overlay && segment === 0
          if (!ofSnapshot) tick()
          add(segmentKey(nameOf(place), index, segment), now, now)
        }
      }
      last = Math.max(last, now)
    }
    const left = damaged ? items.filter((_, place) => !lost.includes(place)) : items
    const nowMs = (last + sinceLast) * unitMs
    return { items: left, own: nameOf(own), nowMs, retentionMs: retention * unitMs, shuffle }
  })
  .filter(({ items }) => items.length > 0)

const byKey = (a: Item, b: Item): number => (a.key < b.key ? -1 : 1)

function provenanceOf(items: readonly Item[], key: string): Provenance | undefined {
  const item = items.find((one) => one.key === key)
  if (!item) throw new Error(`asked about ${key}, which is not there`)
  return item.ours ? ({ observedAtMs: item.observedAtMs, overlayBytes: item.overlay ? 1 : 0 } as Provenance) : undefined
}

function plan(
  items: readonly Item[],
  { own: generation, nowMs, retentionMs }: World,
  { segmentsMax, snapshotIndex = Number.POSITIVE_INFINITY }: { segmentsMax?: number; snapshotIndex?: number } = {},
): RetentionPlan {
  const own = { generation, firstIndex: 0, snapshotIndex }
  const collector = new FactsCollector({ believableMs: nowMs, cutoffMs: nowMs - retentionMs, own, segmentsMax })
  for (const item of [...items].sort(byKey)) collector.add(item)
  const planner = planRetention({ facts: collector.facts(), own, nowMs, retentionMs })
  let step = planner.next()
  while (!step.done) step = planner.next(provenanceOf(items, step.value.key))
  return step.value
}

/** What a restore takes, as text; undefined when it is refused. */
function restore(items: readonly Item[], target: RestoreTarget): string | undefined {
  const planner = chooseRestore([{ replica: 'replica', generations: buildTimelines(items) }], target)
  let step = planner.next()
  while (!step.done) step = planner.next(provenanceOf(items, step.value.object.key))
  const chosen = step.value.planned[0]?.plan
  return chosen && [chosen.snapshot.key, chosen.segments.at(-1)?.key, chosen.settled].join(' ')
}

/** Every moment of the window at which something changes, and the newest state. */
function targetsOf({ items, nowMs, retentionMs }: World): RestoreTarget[] {
  const cutoffMs = nowMs - retentionMs
  const moments = new Set([cutoffMs])
  for (const { observedAtMs, modifiedAtMs } of items) {
    for (const atMs of [observedAtMs, observedAtMs - 1, modifiedAtMs]) if (atMs > cutoffMs) moments.add(atMs)
  }
  return [{ kind: 'latest' }, ...[...moments].map((atMs) => ({ kind: 'time', atMs }) as const)]
}

/** Indexes that do not begin at offset 0, over all generations with a snapshot: 0.3.13 refuses those. */
function refusedByReal(items: readonly Item[]): string[] {
  return buildTimelines(items)
    .filter(({ snapshots }) => snapshots.length > 0)
    .flatMap(({ segments }) => segments.filter((one, at) => one.offset !== 0 && segments[at - 1]?.index !== one.index))
    .map(({ generation: name, index }) => `${name}/${index}`)
}

const without = (items: readonly Item[], keys: Iterable<string>): Item[] => {
  const gone = new Set(keys)
  return items.filter(({ key }) => !gone.has(key))
}

function shuffled(keys: readonly string[], shuffle: readonly number[]): string[] {
  const rank = (key: string): number =>
    [...key].reduce((sum, char, at) => (sum * 31 + char.charCodeAt(0) * (shuffle[at % 7] as number)) % 1009, 7)
  return [...keys].sort((a, b) => rank(a) - rank(b))
}

/** Deletes one object after the other and looks at everything that is promised after each. */
function execute(made: World, { batches }: RetentionPlan, every: boolean): Item[] {
  const targets = targetsOf(made)
  const before = targets.map((target) => restore(made.items, target))
  const refusedBefore = new Set(refusedByReal(made.items))
  let items = [...made.items]
  const look = (): void => {
    for (const [at, target] of targets.entries()) {
      if (before[at] === undefined) continue
      const now = restore(items, target)
      if (now !== before[at]) expect(now, JSON.stringify(target)).toBe(before[at])
    }
    const refused = refusedByReal(items).filter((one) => !refusedBefore.has(one))
    if (refused.length > 0) expect(refused).toEqual([])
  }
  for (const batch of batches) {
    for (const key of shuffled(batch, made.shuffle)) {
      items = without(items, [key])
      if (every) look()
    }
  }
  if (!every) look()
  return items
}

describe('what the plan deletes', () => {
  test('is not needed for any moment of the window, nor for the newest state, after every single deletion', () => {
    let deletions = 0
    let generations = 0
    fc.assert(
      fc.property(world, (made) => {
        const planned = plan(made.items, made)
        const keys = planned.batches.flat()
        expect(new Set(keys).size).toBe(keys.length)
        deletions += keys.length
        generations += planned.removals.filter(({ reason }) => reason === 'covered by a later generation').length
        execute(made, planned, true)
      }),
      { numRuns: 400 },
    )
    // The property is not about nothing.
    expect(deletions).toBeGreaterThan(300)
    expect(generations).toBeGreaterThan(10)
  })

  test('is all that can go: afterwards there is nothing more to do, and at most one snapshot from before the window', () => {
    fc.assert(
      fc.property(world, (made) => {
        const items = execute(made, plan(made.items, made), false)
        expect(plan(items, made).batches).toEqual([])
        const cutoffMs = made.nowMs - made.retentionMs
        for (const { snapshots, segments } of buildTimelines(items)) {
          // Of a damaged generation, or one of another program, more may be kept.
          if (items.some(({ ours }) => !ours)) continue
          const whole = (one: (typeof snapshots)[number]): boolean =>
            !provenanceOf(items, one.key)?.overlayBytes ||
            segments.some(({ index, offset }) => index === one.index && offset === 0)
          const old = snapshots.filter((one) => {
            const observedAtMs = provenanceOf(items, one.key)?.observedAtMs ?? 0
            const before = items.filter(({ key }) => {
              const name = parseKey(key)
              return name?.generation === one.generation && name.index < one.index
            })
            const times = [observedAtMs, one.modifiedAtMs, ...before.map(({ modifiedAtMs }) => modifiedAtMs)]
            return whole(one) && times.every((atMs) => atMs <= cutoffMs)
          })
          expect(old.length).toBeLessThanOrEqual(1)
          if (old[0]) expect(segments.filter(({ index }) => index < (old[0]?.index ?? 0))).toEqual([])
        }
      }),
      { numRuns: 400 },
    )
  })

  test('is the same in small bites, when there is more than is remembered', () => {
    fc.assert(
      fc.property(world, fc.integer({ min: 3, max: 5 }), (made, segmentsMax) => {
        const atOnce = execute(made, plan(made.items, made), false)
        let items = made.items
        for (let bites = 0; ; bites++) {
          expect(bites).toBeLessThan(40)
          const planned = plan(items, made, { segmentsMax })
          if (planned.batches.length === 0) break
          items = execute({ ...made, items }, planned, true)
          expect(planned.nextDueMs === Number.NEGATIVE_INFINITY || plan(items, made).batches.length === 0).toBe(true)
        }
        // Generations that lost their snapshots to an earlier bite wait for a day, like everything without one.
        const dayLater = { ...made, nowMs: made.nowMs + 25 * 3_600_000, retentionMs: made.retentionMs + 25 * 3_600_000 }
        const left = without(items, plan(items, dayLater).batches.flat())
        const atOnceLater = without(atOnce, plan(atOnce, dayLater).batches.flat())
        expect(left.map(({ key }) => key)).toEqual(atOnceLater.map(({ key }) => key))
      }),
      { numRuns: 200 },
    )
  })

  test('becomes due when the plan says, and not before', () => {
    fc.assert(
      fc.property(world, fc.nat(40), (made, later) => {
        const first = plan(made.items, made)
        const items = without(made.items, first.batches.flat())
        const { nextDueMs } = plan(items, made)
        const unitMs = made.retentionMs % 3_600_000 === 0 ? 3_600_000 : 1
        const nowMs = made.nowMs + later * unitMs
        if (nowMs < nextDueMs) expect(plan(items, { ...made, nowMs }).batches).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })
})
