// When everything is collected: twice after the start, and then twice after enough growth and time.

import { expect, test } from 'vitest'
import type { TimerClock } from '../../src/clock.js'
import { MemoryWatch } from '../../src/memory-watch.js'
import { collectNow } from '../../src/plan/collection-plan.js'

const MB = 1 << 20

test.each([
  ['starting has left something behind', undefined, true],
  ['the first of a pair', { collectedAtMs: 990_000, floorBytes: 100 * MB, repeated: false }, true],
  ['grown, and long enough ago', { collectedAtMs: 970_000, floorBytes: 76 * MB, repeated: true }, true],
  ['grown, but just collected', { collectedAtMs: 970_001, floorBytes: 10 * MB, repeated: true }, false],
  ['long ago, but hardly grown', { collectedAtMs: 0, floorBytes: 76 * MB + 1, repeated: true }, false],
  ['smaller than it was', { collectedAtMs: 0, floorBytes: 300 * MB, repeated: true }, false],
])('%s', (_, since, expected) => {
  expect(collectNow({ residentBytes: 100 * MB, atMs: 1_000_000 }, since)).toBe(expected)
})

/** Time that passes only by `step`, one timer at most. */
function watched() {
  let nowMs = 0
  let due: { readonly atMs: number; readonly then: () => void } | undefined
  const process = { bytes: 100 * MB, leftOver: 100 * MB, collections: [] as number[] }
  const clock: TimerClock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    uptime: () => ({ boot: '', ms: nowMs }),
    turn: async () => undefined,
    after(ms, then) {
      expect(due).toBeUndefined()
      const timer = { atMs: nowMs + ms, then }
      due = timer
      return () => {
        if (due === timer) due = undefined
      }
    },
  }
  const collect = () => {
    process.collections.push(nowMs)
    process.bytes = process.leftOver
  }
  const watch = new MemoryWatch({ clock, residentBytes: () => process.bytes, collect })
  const step = (): boolean => {
    const timer = due
    due = undefined
    if (timer) nowMs = timer.atMs
    timer?.then()
    return timer !== undefined
  }
  return { watch, process, step }
}

test('what grows by a megabyte each look is collected every 25 looks, and memory stays within that', () => {
  const { watch, process, step } = watched()
  watch.start()
  let most = 0
  for (let i = 0; i < 250; i++) {
    expect(step()).toBe(true)
    process.bytes += MB
    most = Math.max(most, process.bytes)
  }
  expect(process.collections).toHaveLength(20)
  expect(most).toBe(124 * MB)
})

test('memory that goes back only after a while is the new floor; what cannot be given back is not collected for again and again', () => {
  const { watch, process, step } = watched()
  process.leftOver = 90 * MB
  watch.start()
  step()
  step()
  process.bytes = 70 * MB
  step()
  process.bytes = process.leftOver = 94 * MB
  for (let i = 0; i < 50; i++) step()
  expect(process.collections).toEqual([10_000, 20_000, 50_000, 60_000])
})

test('stopped it looks no more, and may be stopped twice', () => {
  const { watch, step } = watched()
  watch.start()
  watch.start()
  watch.stop()
  watch.stop()
  expect(step()).toBe(false)
})
