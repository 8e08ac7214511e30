// The restore plan against a brute-force model: every snapshot and every prefix of the segments behind it is tried, and the best one
// that keeps the rules is what the planner must have found, with its few questions. Small random timelines, damaged ones too.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { segmentKey, snapshotKey } from '../../src/model/layout.js'
import { INDEX_MAX } from '../../src/model/position.js'
import type { Provenance } from '../../src/model/provenance.js'
import type { RestoreTarget } from '../../src/model/target.js'
import { buildTimelines, type GenerationTimeline, type StoredSegment } from '../../src/model/timeline.js'
import { chooseRestore } from '../../src/plan/restore-choice.js'
import { type PlanOutcome, planGeneration } from '../../src/plan/restore-plan.js'

const GENERATION = 'aaaaaaaaaaaaaaaa'

interface Item {
  readonly key: string
  readonly modifiedAtMs: number
  readonly observedAtMs: number
  readonly overlay: boolean
}

interface World {
  readonly timeline: GenerationTimeline
  readonly items: ReadonlyMap<string, Item>
  readonly ours: boolean
}

/** A generation as a writer makes it, moments ascending, with some of its objects gone. */
const world: fc.Arbitrary<World> = fc
  .record({
    ours: fc.boolean(),
    firstIndex: fc.nat(3),
    indexes: fc.array(
      fc.record({
        snapshot: fc.boolean(),
        overlay: fc.boolean(),
        segments: fc.integer({ min: 1, max: 3 }),
        steps: fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    uploadDelayMs: fc.nat(2),
    lost: fc.array(fc.nat(12), { maxLength: 2 }),
  })
  .map(({ ours, firstIndex, indexes, uploadDelayMs, lost }) => {
    const items: Item[] = []
    let nowMs = 10
    for (const [place, { snapshot, overlay, segments, steps }] of indexes.entries()) {
      const index = firstIndex + place
      const times = steps.values()
      const add = (key: string, isOverlay: boolean): void => {
        items.push({ key, observedAtMs: nowMs, modifiedAtMs: nowMs + uploadDelayMs, overlay: isOverlay })
      }
      const tick = (): void => {
        nowMs += times.next().value ?? 0
      }
      const begins = snapshot || place === 0
      tick()
      if (begins) add(snapshotKey(GENERATION, index), overlay)
      for (let segment = 0; segment < segments; segment++) {
        if (!(begins && overlay && segment === 0)) tick() // an overlay is of the snapshot's moment
        add(segmentKey(GENERATION, index, segment), false)
      }
    }
    const left = items.filter((_, place) => !lost.includes(place))
    const [timeline] = buildTimelines(left.map((item) => ({ ...item, size: 1 })))
    return timeline && { timeline, items: new Map(left.map((item) => [item.key, item])), ours }
  })
  .filter((made) => made !== undefined)

const target: fc.Arbitrary<RestoreTarget> = fc.oneof(
  fc.constant({ kind: 'latest' } as const),
  fc.integer({ min: 5, max: 50 }).map((atMs) => ({ kind: 'time', atMs }) as const),
  fc.oneof(fc.nat(8), fc.constant(INDEX_MAX)).map((index) => ({ kind: 'index', index }) as const),
)

function provenanceOf({ items, ours }: World, key: string): Provenance | undefined {
  const item = items.get(key)
  if (!ours || !item) return undefined
  return { observedAtMs: item.observedAtMs, overlayBytes: item.overlay ? 1 : 0 } as Provenance
}

function plan(made: World, wanted: RestoreTarget): { outcome: PlanOutcome; questions: number } {
  const planner = planGeneration(made.timeline, wanted)
  let questions = 0
  let step = planner.next()
  while (!step.done) {
    questions++
    step = planner.next(provenanceOf(made, step.value.key))
  }
  return { outcome: step.value, questions }
}

/** The plan by the rules: of the settled ones (else of all) the one with the newest snapshot; nothing from before damage. */
function bruteForce(made: World, wanted: RestoreTarget): { snapshot: string; segments: string[] } | undefined {
  const { timeline, items, ours } = made
  const moment = (key: string): number => {
    const item = items.get(key) as Item
    return ours ? item.observedAtMs : item.modifiedAtMs
  }
  const within = (key: string, index: number): boolean => {
    if (wanted.kind === 'index') return index <= wanted.index
    return wanted.kind === 'latest' || moment(key) <= wanted.atMs
  }
  let found: { snapshot: string; segments: string[]; settled: boolean }[] = []
  for (const { key, index } of timeline.snapshots) {
    if (!within(key, index)) continue
    const segments = timeline.segments.filter((segment) => segment.index >= index && within(segment.key, segment.index))
    const indexes = [...new Set(segments.map((segment) => segment.index))]
    const whole =
      indexes.every((value, place) => value === index + place) &&
      indexes.every((value) => segments.some((segment) => segment.index === value && segment.offset === 0))
    const overlay = ours && (items.get(key) as Item).overlay
    if (!whole || (overlay && segments.length === 0)) {
      // An object that this snapshot needs is gone: with an older one the state would be silently older.
      found = []
      continue
    }
    const keys = segments.map((segment: StoredSegment) => segment.key)
    const last = keys.at(-1)
    found.push({ snapshot: key, segments: keys, settled: ours || (last !== undefined && moment(last) > moment(key)) })
  }
  return found.findLast((one) => one.settled) ?? found.at(-1)
}

describe('the plan for a generation', () => {
  test('is what brute force finds', () => {
    fc.assert(
      fc.property(world, target, (made, wanted) => {
        const { outcome } = plan(made, wanted)
        const newest = Math.max(...[...made.timeline.snapshots, ...made.timeline.segments].map(({ index }) => index))
        const beyond = wanted.kind === 'index' && wanted.index > newest && wanted.index !== INDEX_MAX
        const best = beyond ? undefined : bruteForce(made, wanted)
        if ('refusal' in outcome) {
          expect(best).toBeUndefined()
          return
        }
        const { snapshot, segments } = outcome.plan
        expect({ snapshot: snapshot.key, segments: segments.map(({ key }) => key) }).toEqual({
          snapshot: best?.snapshot,
          segments: best?.segments,
        })
      }),
      { numRuns: 3000 },
    )
  })

  test('a moment after the newest is the newest; asking costs few questions', () => {
    fc.assert(
      fc.property(world, (made) => {
        const far = plan(made, { kind: 'time', atMs: 1_000_000 })
        expect(far.outcome).toEqual(plan(made, { kind: 'latest' }).outcome)
        expect(far.questions).toBeLessThan(60)
      }),
    )
  })

  test('thousands of segments cost some dozens of questions', () => {
    const count = 20_000
    const objects = Array.from({ length: count }, (_, i) => ({
      key: segmentKey(GENERATION, i >> 8, i & 255),
      size: 1,
      modifiedAtMs: i,
    }))
    objects.push({ key: snapshotKey(GENERATION, 0), size: 1, modifiedAtMs: 0 })
    const [timeline] = buildTimelines(objects)
    const items = new Map(objects.map((o) => [o.key, { ...o, observedAtMs: o.modifiedAtMs, overlay: false }]))
    const made = { timeline: timeline as GenerationTimeline, items, ours: true }
    for (const atMs of [0, 1, 4_321, count - 1]) {
      const { outcome, questions } = plan(made, { kind: 'time', atMs })
      expect('plan' in outcome && outcome.plan.segments.length).toBe(atMs + 1)
      expect(questions).toBeLessThan(40)
    }
  })
})

describe('the choice between generations and replicas', () => {
  /** Generations that follow each other, each with a snapshot and a segment, at the given moments. */
  function replica(name: string, generations: readonly (readonly [snapshotAtMs: number, segmentAtMs: number])[]) {
    const objects = generations.flatMap(([snapshotAtMs, segmentAtMs], place) => {
      const generation = `${name}${place}`.padStart(16, '0')
      return [
        { key: snapshotKey(generation, 0), size: 1, modifiedAtMs: snapshotAtMs },
        { key: segmentKey(generation, 0, 0), size: 1, modifiedAtMs: segmentAtMs },
      ]
    })
    return { replica: name, generations: buildTimelines(objects) }
  }

  function choose(replicas: Parameters<typeof chooseRestore<string>>[0], wanted: RestoreTarget) {
    const chooser = chooseRestore(replicas, wanted)
    let step = chooser.next()
    while (!step.done) step = chooser.next(undefined)
    return step.value
  }

  const moments = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 }).map((steps) => {
    let nowMs = 0
    const times = steps.map((step) => (nowMs += step))
    return Array.from({ length: times.length >> 1 }, (_, i) => [times[2 * i], times[2 * i + 1]] as [number, number])
  })

  test('is the state observed last by the moment, of any generation of any replica', () => {
    fc.assert(
      fc.property(moments, moments, fc.option(fc.nat(60), { nil: undefined }), (a, b, atMs) => {
        const wanted: RestoreTarget = atMs === undefined ? { kind: 'latest' } : { kind: 'time', atMs }
        const { planned, refused } = choose([replica('a', a), replica('b', b)], wanted)
        const best = Math.max(
          ...[a, b].flat(2).filter((moment) => atMs === undefined || moment <= atMs),
          Number.NEGATIVE_INFINITY,
        )
        if (best === Number.NEGATIVE_INFINITY) {
          expect(planned).toEqual([])
          expect(refused).toHaveLength(2)
        } else {
          expect(planned[0]?.plan.stateAtMs).toBe(best)
          if (a.flat().includes(best)) expect(planned[0]?.replica).toBe('a')
        }
        expect(planned.length + refused.length).toBe(2)
      }),
    )
  })

  test('a moment before the oldest is refused with the bounds', () => {
    const { refused } = choose(
      [
        replica('a', [
          [1000, 2000],
          [3000, 4000],
        ]),
      ],
      { kind: 'time', atMs: 999 },
    )
    expect(refused[0]?.refusal).toEqual({
      code: 'NOT_FOUND',
      message:
        'nothing at or before 1970-01-01T00:00:00.999Z: the backups reach from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:04.000Z',
    })
  })

  test('an index beyond the newest is refused naming the newest; 7fffffff is no limit', () => {
    const one = [replica('a', [[1000, 2000]])]
    expect(choose(one, { kind: 'index', index: 5 }).refused[0]?.refusal.message).toBe(
      'index 00000005 is beyond the newest of generation 00000000000000a0, which is 00000000',
    )
    expect(choose(one, { kind: 'index', index: INDEX_MAX }).planned).toHaveLength(1)
  })

  test('a generation that has no snapshot yet is left out, unless there is no other', () => {
    const segmentOnly = buildTimelines([{ key: segmentKey('ffffffffffffffff', 0, 0), size: 1, modifiedAtMs: 99 }])
    const { generations } = replica('a', [[1, 2]])
    const both = choose([{ replica: 'a', generations: [...generations, ...segmentOnly] }], { kind: 'latest' })
    expect(both.planned[0]?.plan.generation).toBe('00000000000000a0')
    const later = buildTimelines([{ key: segmentKey('ffffffffffffffff', 1, 0), size: 1, modifiedAtMs: 99 }])
    const alone = choose([{ replica: 'a', generations: later }], { kind: 'latest' })
    expect(alone.refused[0]?.refusal.message).toBe('no snapshots available in generation ffffffffffffffff')
    // Only its very first segment is there: it was never begun, and there is nothing, as in an empty replica.
    const nothing = { planned: [], refused: [] }
    expect(choose([{ replica: 'a', generations: segmentOnly }], { kind: 'latest' })).toEqual(nothing)
    expect(choose([{ replica: 'a', generations: [] }], { kind: 'latest' })).toEqual(nothing)
  })
})
