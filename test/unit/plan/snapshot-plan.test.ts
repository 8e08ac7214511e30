import { describe, expect, test } from 'vitest'
import { policyNote, snapshotDueInMs } from '../../../src/plan/snapshot-plan.js'

const HOUR = 3_600_000
const at = (wallMs: number, monotonicMs = wallMs) => ({ wallMs, monotonicMs })
const dueIn = (snapshotIntervalMs: number, retentionMs: number, ageMs: number, changed = true): number =>
  snapshotDueInMs({ snapshotIntervalMs, retentionMs }, at(1000), changed, at(1000 + ageMs))

describe('a snapshot is due', () => {
  test('one snapshot-interval after the last one', () => {
    expect(dueIn(HOUR, 720 * HOUR, HOUR - 1)).toBe(1)
    expect(dueIn(HOUR, 720 * HOUR, HOUR)).toBe(0)
    expect(dueIn(HOUR, 0, 5 * HOUR)).toBe(0)
  })

  test('without an interval: when retention would run out of the last one', () => {
    expect(dueIn(0, 24 * HOUR, 23 * HOUR)).toBe(HOUR)
    expect(dueIn(0, 24 * HOUR, 24 * HOUR)).toBe(0)
  })

  test('never without either, and never when nothing has changed', () => {
    expect(dueIn(0, 0, 1e12)).toBe(Number.POSITIVE_INFINITY)
    expect(dueIn(HOUR, 24 * HOUR, 1e12, false)).toBe(Number.POSITIVE_INFINITY)
  })

  test('by whichever clock says so: one may have been set back, the other may have slept', () => {
    const policy = { snapshotIntervalMs: HOUR, retentionMs: 0 }
    expect(snapshotDueInMs(policy, at(5 * HOUR, 0), true, at(HOUR, HOUR))).toBe(0)
    expect(snapshotDueInMs(policy, at(5 * HOUR, 0), true, at(6 * HOUR, 1))).toBe(0)
    // A last snapshot whose time lies in the future counts from now.
    expect(snapshotDueInMs(policy, at(1e15, 0), true, at(HOUR, HOUR / 2))).toBe(HOUR / 2)
  })
})

describe('the note about a policy', () => {
  test('says what is kept when the retention is shorter than the interval', () => {
    expect(policyNote({ snapshotIntervalMs: 6 * HOUR, retentionMs: HOUR })).toBe(
      'retention (1h0m0s) is shorter than snapshot-interval (6h0m0s): every moment of the last 1h0m0s can be restored, and for that ' +
        'the snapshot before it and all changes since are kept, up to 7h0m0s in all',
    )
  })

  test('is not there for others', () => {
    expect(policyNote({ snapshotIntervalMs: HOUR, retentionMs: HOUR })).toBeUndefined()
    expect(policyNote({ snapshotIntervalMs: 0, retentionMs: HOUR })).toBeUndefined()
    expect(policyNote({ snapshotIntervalMs: HOUR, retentionMs: 0 })).toBeUndefined()
  })
})
