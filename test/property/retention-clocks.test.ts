// Clocks that jump. A writer and a retention by a wall clock which is set forward and back at will, also over restarts of the daemon,
// and a storage with a clock of its own (S3) or the same one (a directory): of the window as it truly was, by a clock that nobody
// sees, nothing is ever deleted. And when the clock is right again, what is kept is bounded again.
//
// Left out, because nothing can tell it from time that passed: a directory whose daemon is restarted while the clock is ahead, or after
// it was behind. What was written by a clock that was an hour behind counts there as an hour older than it is.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseKey, segmentKey, snapshotKey } from '../../src/model/layout.js'
import type { Provenance } from '../../src/model/provenance.js'
import type { ListedObject } from '../../src/model/timeline.js'
import { RetentionClock } from '../../src/plan/retention-clock.js'
import { FactsCollector } from '../../src/plan/retention-facts.js'
import { planRetention } from '../../src/plan/retention-plan.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const GENERATION = 'aaaaaaaaaaaaaaaa'

interface Written extends ListedObject {
  /** By the clock that nobody sees. */
  readonly trulyAtMs: number
  readonly observedAtMs: number
}

/** One database, written every ten minutes, a snapshot every hour, a check every half hour. */
class History {
  readonly objects: Written[] = []
  /** Also what was deleted. */
  readonly all: Written[] = []
  trueMs = 1e12
  wallAheadMs = 0
  private index = -1
  private offset = 0
  private startedAtMs = this.trueMs
  private ownFrom = 0
  private inherited = false
  private clock: RetentionClock

  constructor(
    private readonly retentionMs: number,
    private readonly storage: 'directory' | 's3',
  ) {
    this.clock = new RetentionClock(retentionMs)
    this.clock.look(this.wallMs, 0)
  }

  get wallMs(): number {
    return this.trueMs + this.wallAheadMs
  }

  /** For a directory: something was written by a clock that was behind. */
  private get wasBehind(): boolean {
    return this.storage === 'directory' && this.all.some(({ trulyAtMs, modifiedAtMs }) => modifiedAtMs < trulyAtMs)
  }

  restart(evenSo = false): void {
    if (this.wasBehind && !evenSo) return
    if (this.storage === 'directory') this.wallAheadMs = Math.min(0, this.wallAheadMs)
    this.startedAtMs = this.trueMs
    this.ownFrom = this.index + 1
    this.index++
    this.offset = 0
    this.inherited = false
    this.clock = new RetentionClock(this.retentionMs)
    this.clock.look(this.wallMs, 0)
    this.segment()
  }

  snapshot(): void {
    this.index++
    this.offset = 0
    this.add(snapshotKey(GENERATION, this.index))
    this.segment()
  }

  segment(): void {
    this.add(segmentKey(GENERATION, this.index, this.offset++))
  }

  private add(key: string): void {
    const { trueMs: trulyAtMs, wallMs } = this
    const modifiedAtMs = this.storage === 's3' ? trulyAtMs : wallMs
    const written = { key, size: 1, trulyAtMs, modifiedAtMs, observedAtMs: wallMs }
    this.objects.push(written)
    this.all.push(written)
  }

  /** As Retention does, in its order. */
  check(): number {
    const monotonicMs = this.trueMs - this.startedAtMs
    const { wallMs, retentionMs } = this
    this.clock.look(wallMs, monotonicMs)
    const own = { generation: GENERATION, firstIndex: this.ownFrom, snapshotIndex: Number.POSITIVE_INFINITY }
    const believableMs = monotonicMs >= retentionMs ? wallMs : Number.POSITIVE_INFINITY
    const collector = new FactsCollector({ believableMs, cutoffMs: wallMs - retentionMs, own })
    for (const object of [...this.objects].sort((a, b) => (a.key < b.key ? -1 : 1))) collector.add(object)
    const facts = collector.facts()
    if (!this.inherited && Number.isFinite(facts.inheritedAtMs)) this.clock.provenAt(facts.inheritedAtMs, 0)
    this.inherited = true
    const nowMs = this.clock.look(wallMs, monotonicMs)
    const planner = planRetention({ facts, own, nowMs, retentionMs })
    let step = planner.next()
    while (!step.done) {
      const { key } = step.value
      const { observedAtMs } = this.objects.find((one) => one.key === key) as Written
      step = planner.next({ observedAtMs } as Provenance)
    }
    const gone = new Set(step.value.batches.flat())
    const left = this.objects.filter(({ key }) => !gone.has(key))
    this.objects.length = 0
    this.objects.push(...left)
    return gone.size
  }

  /** Everything from the newest snapshot before the window on, that was ever written. */
  needed(): string[] {
    const { all } = this
    const cutoffMs = this.trueMs - this.retentionMs
    const snapshots = all.filter(({ key }) => parseKey(key)?.kind === 'snapshot')
    const base = snapshots.findLast(({ trulyAtMs }) => trulyAtMs <= cutoffMs) ?? snapshots[0]
    return all.slice(all.indexOf(base as Written)).map(({ key }) => key)
  }
}

const jump = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -72, max: 72 }).map((hours) => hours * HOUR) },
  fc.constantFrom(0, 1e12, -1e12, 30 * MINUTE, -5 * HOUR),
)
const step = fc.record({
  hours: fc.integer({ min: 1, max: 16 }),
  event: fc.oneof(
    { weight: 2, arbitrary: fc.constant('none' as const) },
    fc.constantFrom('jump' as const, 'restart' as const),
  ),
  wallAheadMs: jump,
  downHours: fc.nat(30),
})

describe('the wall clock is set at will', () => {
  test.each(['directory', 's3'] as const)('nothing of the true window is deleted (%s)', (storage) => {
    let deleted = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), fc.constantFrom(3, 24), (steps, retentionHours) => {
        const history = new History(retentionHours * HOUR, storage)
        history.snapshot()
        for (const { hours, event, wallAheadMs, downHours } of steps) {
          if (event === 'restart') {
            history.trueMs += downHours * HOUR
            history.restart()
          } else if (event === 'jump') history.wallAheadMs = wallAheadMs
          for (let tenMinutes = 1; tenMinutes <= hours * 6; tenMinutes++) {
            history.trueMs += 10 * MINUTE
            if (tenMinutes % 6 === 0) history.snapshot()
            else history.segment()
            if (tenMinutes % 3 !== 0) continue
            deleted += history.check()
            const there = new Set(history.objects.map(({ key }) => key))
            const missing = history.needed().filter((key) => !there.has(key))
            if (missing.length > 0) expect(missing).toEqual([])
          }
        }
      }),
      { numRuns: 60 },
    )
    expect(deleted).toBeGreaterThan(1000)
  })

  test('an hour in 1970, a clock that is behind, a restart, and the clock put right', () => {
    const history = new History(3 * HOUR, 'directory')
    history.snapshot()
    for (const wallAheadMs of [-1e12, -3 * HOUR, undefined, 0]) {
      if (wallAheadMs === undefined) history.restart(true)
      else history.wallAheadMs = wallAheadMs
      for (let tenMinutes = 1; tenMinutes <= 6; tenMinutes++) {
        history.trueMs += 10 * MINUTE
        if (tenMinutes % 6 === 0) history.snapshot()
        else history.segment()
        history.check()
        const there = new Set(history.objects.map(({ key }) => key))
        expect(history.needed().filter((key) => !there.has(key))).toEqual([])
      }
    }
  })

  test('back to normal, what is kept is bounded again', () => {
    fc.assert(
      fc.property(jump, fc.integer({ min: 1, max: 10 }), fc.boolean(), (wallAheadMs, hours, restarts) => {
        const history = new History(3 * HOUR, 'directory')
        history.snapshot()
        const run = (count: number): void => {
          for (let hour = 0; hour < count; hour++) {
            history.trueMs += HOUR
            history.snapshot()
            history.check()
          }
        }
        run(5)
        history.wallAheadMs = wallAheadMs
        if (restarts) history.restart(true)
        run(hours)
        history.wallAheadMs = 0
        run(Math.min(hours + 80, 90))
        // The window, the snapshot before it, and the one that is new.
        expect(history.objects.filter(({ key }) => parseKey(key)?.kind === 'snapshot').length).toBeLessThanOrEqual(6)
      }),
      { numRuns: 40 },
    )
  })
})

describe('the proven time', () => {
  test('is the wall clock while nothing jumps', () => {
    const clock = new RetentionClock(HOUR)
    for (let ms = 0; ms < 5 * HOUR; ms += MINUTE) expect(clock.look(1e12 + ms, ms)).toBe(1e12 + ms)
  })

  test('believes a jump forward after it has lasted for the retention, a jump backward at once', () => {
    const clock = new RetentionClock(HOUR)
    clock.look(1e12, 0)
    expect(clock.look(2e12, MINUTE)).toBe(1e12 + MINUTE)
    expect(clock.look(2e12 + HOUR, MINUTE + HOUR)).toBe(1e12 + MINUTE + HOUR)
    expect(clock.look(2e12 + 2 * HOUR, MINUTE + 2 * HOUR)).toBe(2e12 + 2 * HOUR)
    expect(clock.look(1e12, MINUTE + 3 * HOUR)).toBe(1e12)
  })

  test('goes on from the newest object after a start, until the process has run for the retention', () => {
    const clock = new RetentionClock(HOUR)
    clock.look(1e12, 0)
    clock.provenAt(1e12 - 50 * HOUR, 0)
    expect(clock.look(1e12 + MINUTE, MINUTE)).toBe(1e12 - 50 * HOUR + MINUTE)
    expect(clock.look(1e12 + 2 * HOUR, 2 * HOUR)).toBe(1e12 + 2 * HOUR)
  })

  test('remembers little, also of a clock that drifts', () => {
    const clock = new RetentionClock(HOUR)
    for (let ms = 0; ms < 100 * HOUR; ms += MINUTE) clock.look(1e12 + ms * 1.0001, ms)
    expect((clock as unknown as { offsets: unknown[] }).offsets.length).toBeLessThan(5)
    expect(clock.look(1e12 + 100 * HOUR * 1.0001, 100 * HOUR)).toBeGreaterThan(1e12 + 100 * HOUR * 1.0001 - 3000)
  })
})
