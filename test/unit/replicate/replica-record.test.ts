import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import { ReplicaRecord } from '../../../src/replicate/replica-record.js'

function recordAt() {
  let nowMs = 1000
  const record = new ReplicaRecord({ now: () => nowMs + 1e12, monotonic: () => nowMs })
  const behind = () => (record.behindSinceMs === undefined ? 0 : nowMs - record.behindSinceMs)
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { record, behind, pass }
}

test('the age of the oldest change counts, and grows while nobody does anything', () => {
  const { record, behind, pass } = recordAt()
  record.reached()
  expect(behind()).toBe(0)
  record.changed()
  pass(10)
  record.changed()
  expect(behind()).toBe(10)
  record.departed()
  pass(5)
  record.changed()
  pass(5)
  expect(behind()).toBe(20)
  record.arrived()
  expect(behind()).toBe(5)
  record.departed()
  record.arrived()
  expect(behind()).toBe(0)
})

test('a failed upload keeps its age, and what came since does not make it younger', () => {
  const { record, behind, pass } = recordAt()
  record.reached()
  record.changed()
  record.departed()
  pass(100)
  record.failed(new LitestreamError('STORAGE', 'connection refused\nmore'))
  record.changed()
  record.departed()
  pass(100)
  expect(behind()).toBe(200)
  expect(record.lastFailure).toEqual({ message: 'connection refused', kind: 'transient', atMs: 1e12 + 1100 })
  record.failed(new Error('odd'))
  expect([...record.failures]).toEqual([
    ['transient', 1],
    ['bug', 1],
  ])
  expect([record.failuresInARow, record.failingSinceMs]).toEqual([2, 1100])
  record.worked()
  expect(record.failuresInARow).toBe(0)
})

test('lost continuity counts from the oldest change that was not there yet, until the replica holds a state again', () => {
  const { record, behind, pass } = recordAt()
  record.reached()
  record.changed()
  pass(7)
  record.apart()
  expect(record.lacksAll).toBe(true)
  pass(3)
  record.apart()
  expect(behind()).toBe(10)
  // What comes while the new snapshot is taken is not in it for certain.
  record.changed()
  pass(2)
  record.reached()
  expect(behind()).toBe(2)
  expect(record.lacksAll).toBe(false)
})

test('nothing is backed up before the first state, and after what was there is gone', () => {
  const { record } = recordAt()
  expect(record.established).toBe(false)
  record.reached()
  record.snapshotStored({ key: 'k', size: 3, atMs: 5 })
  expect(record.established).toBe(true)
  record.gone()
  expect([record.established, record.lastSnapshot]).toEqual([false, undefined])
})
