// The decision about the pin, rule by rule and over all facts.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type HoldFacts,
  nextWindowMs,
  type PinPlace,
  planHold,
  QUIET_MS,
  WINDOW_MS_MAX,
  WINDOW_MS_MIN,
  windowFrames,
} from '../../../src/plan/let-go-plan.js'

/** Writing goes on, nothing is backfilled, a window is not worth it yet. */
const busy: HoldFacts = {
  pin: 'read-mark',
  caughtUp: true,
  frames: 100,
  backfilled: 0,
  markFrames: 50,
  stepFrames: 400,
  quietMs: 0,
  windowFrames: 1000,
  windowRestMs: 0,
}

test.for<[string, Partial<HoldFacts>, string]>([
  ['without a pin there is nothing to decide', { pin: 'none', quietMs: 1000 }, 'hold'],
  ['what is not read yet must not get lost', { caughtUp: false, quietMs: 1000, frames: 5000 }, 'hold'],
  ['while writing goes on nothing can wait for us: hold', {}, 'hold'],
  ['quiet: a checkpoint may be waiting for us', { quietMs: QUIET_MS }, 'release'],
  ['the WAL is large, and little is left to copy: a window', { frames: 1000, backfilled: 601 }, 'window'],
  ['the WAL is large, and much is left: a last part before', { frames: 1000, backfilled: 600 }, 'leapfrog'],
  ['it was let through, and is not done yet', { frames: 1000, backfilled: 600, markFrames: 901 }, 'hold'],
  ['it was let through, and has not been done for a long time', { frames: 1800, markFrames: 1799 }, 'window'],
  ['the WAL is large and the last window was a moment ago', { frames: 1000, markFrames: 999, windowRestMs: 1 }, 'hold'],
  ['much has come behind the mark: a part may be checkpointed', { frames: 450 }, 'leapfrog'],
  ['not that much yet', { frames: 449 }, 'hold'],
  ['a window is worth more than a part', { frames: 1000, backfilled: 700, markFrames: 500 }, 'window'],
  ['no window yet, so a part', { frames: 1000, markFrames: 500, windowRestMs: 1 }, 'leapfrog'],
  ['all is in the file: over to mark 0', { backfilled: 100 }, 'leapfrog'],
  ['over to mark 0, confirmed', { backfilled: 100, pin: 'database-unconfirmed' }, 'leapfrog'],
  ['on mark 0 nobody is held up', { backfilled: 100, pin: 'database', quietMs: 1000 }, 'hold'],
  ['new frames behind mark 0: make room for their checkpoint', { pin: 'database' }, 'leapfrog'],
  ['new frames behind what may be mark 0', { pin: 'database-unconfirmed', quietMs: 1000 }, 'leapfrog'],
  ['an empty WAL is complete', { frames: 0, backfilled: 0, pin: 'database' }, 'hold'],
])('%s', ([, change, expected]) => {
  expect(planHold({ ...busy, ...change })).toBe(expected)
})

const anyFacts: fc.Arbitrary<HoldFacts> = fc
  .record({
    pin: fc.constantFrom<PinPlace>('none', 'read-mark', 'database-unconfirmed', 'database'),
    caughtUp: fc.boolean(),
    frames: fc.nat(3000),
    backfilled: fc.nat(3000),
    markFrames: fc.nat(3000),
    stepFrames: fc.integer({ min: 1, max: 2000 }),
    quietMs: fc.nat(500),
    windowFrames: fc.integer({ min: 1, max: 2000 }),
    windowRestMs: fc.constantFrom(0, 5),
  })
  .map((facts) => ({ ...facts, backfilled: Math.min(facts.frames, facts.backfilled) }))

describe('whatever the facts', () => {
  test('nothing unread is let go of, and without a pin nothing is done', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        if (facts.pin === 'none' || !facts.caughtUp) expect(planHold(facts)).toBe('hold')
      }),
    )
  })

  test('quiet never keeps a pin that a checkpoint could wait for', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const quiet = { ...facts, caughtUp: true, quietMs: QUIET_MS + facts.quietMs }
        const decision = planHold(quiet)
        const harmless = quiet.pin === 'none' || (quiet.pin === 'database' && quiet.backfilled === quiet.frames)
        expect(decision === 'hold').toBe(harmless)
      }),
    )
  })
})

test('a WAL that grows always gets its window, and before that no checkpoint that is long, whatever the application does', () => {
  fc.assert(
    fc.property(
      fc.record({ stepFrames: fc.integer({ min: 4, max: 2000 }), windowFrames: fc.integer({ min: 1, max: 5000 }) }),
      fc.array(fc.record({ grows: fc.integer({ min: 1, max: 1000 }), checkpoints: fc.boolean() }), { minLength: 1 }),
      (sizes, moments) => {
        let [frames, backfilled, markFrames] = [0, 0, 0]
        for (let number = 0; ; number++) {
          const { grows, checkpoints } = moments[number % moments.length] as (typeof moments)[number]
          frames += grows
          if (checkpoints) backfilled = markFrames
          const facts = { ...busy, ...sizes, frames, backfilled, markFrames }
          const decision = planHold(facts)
          if (decision === 'leapfrog') markFrames = frames
          if (decision !== 'window') continue
          const { stepFrames, windowFrames } = sizes
          expect(frames).toBeLessThan(windowFrames + 2 * stepFrames + 1000)
          expect(frames - backfilled < stepFrames || frames >= windowFrames + 2 * stepFrames).toBe(true)
          return
        }
      },
    ),
  )
})

test('the patience of windows stays within its bounds and follows success', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (successes) => {
      let windowMs = WINDOW_MS_MIN
      for (const succeeded of successes) {
        const next = nextWindowMs(windowMs, succeeded)
        expect(next).toBeGreaterThanOrEqual(WINDOW_MS_MIN)
        expect(next).toBeLessThanOrEqual(WINDOW_MS_MAX)
        if (succeeded) expect(next).toBeLessThanOrEqual(windowMs)
        else expect(next).toBeGreaterThanOrEqual(windowMs)
        windowMs = next
      }
    }),
  )
})

test('a window opens at the configured size while writes are slow, later while they are fast, and always below half of the bound', () => {
  const frameBytes = 4120
  expect(windowFrames(0, frameBytes, 1000, 128 << 20)).toBe(1000)
  const fast = windowFrames(100 << 20, frameBytes, 1000, 128 << 20)
  expect(fast).toBe(Math.floor((40 << 20) / frameBytes))
  expect(windowFrames(1e12, frameBytes, 1000, 2 ** 40)).toBe(Math.floor((64 << 20) / frameBytes))
  expect(windowFrames(1e12, frameBytes, 1000, 1 << 20)).toBe(Math.floor((1 << 19) / frameBytes))
  expect(windowFrames(0, 65560, 0, 1)).toBe(1)
})
