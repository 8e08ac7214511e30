import { describe, expect, test } from 'vitest'
import {
  ANSWER_MS_MAX,
  type DatabaseFacts,
  defaultMaxBehindMs,
  judgeDatabase,
  judgeReplica,
  type ReplicaFacts,
} from '../../../src/plan/health.js'

const fine: DatabaseFacts = {
  status: 'attached',
  reason: 'following the WAL',
  statusAgeMs: 1e6,
  hasSource: true,
  lookAgeMs: 20,
  monitorIntervalMs: 1000,
}

test.for<[string, Partial<DatabaseFacts>, string, boolean]>([
  ['followed', {}, 'ok', true],
  ['closed', { status: 'quiescent' }, 'ok', true],
  ['not made yet', { status: 'missing', hasSource: false, statusAgeMs: 0 }, 'missing', false],
  ['removed', { status: 'missing', statusAgeMs: 0 }, 'missing', false],
  ['never seen', { status: 'waiting', hasSource: false, statusAgeMs: 0 }, 'waiting', false],
  ['away for a moment: its application is restarted', { status: 'waiting', statusAgeMs: 10_000 }, 'waiting', true],
  ['away for longer', { status: 'waiting', statusAgeMs: 20_000 }, 'waiting', false],
  ['a loop that hangs', { lookAgeMs: 40_000 }, 'stalled', false],
  ['a slow loop that was asked to be slow', { lookAgeMs: 40_000, monitorIntervalMs: 30_000 }, 'ok', true],
])('a database: %s', ([, facts, state, healthy]) => {
  expect(judgeDatabase({ ...fine, ...facts })).toMatchObject({ state, healthy, reason: expect.stringMatching(/\S/) })
})

const inSync: ReplicaFacts = { observable: true, established: true, behindMs: 0, maxBehindMs: 32_000 }
const standsBy = { other: 'the one on web-2', silenceMs: 60_000 }
const overflow = 'more than 1 GiB would wait in /tmp; raise max-spool-size'
const failure = { message: 'connection refused', ageMs: 5000, count: 3 }

test.for<[string, Partial<ReplicaFacts>, string, boolean, RegExp?]>([
  ['in sync', {}, 'ok', true],
  ['in sync, asked and answered', { probe: { problem: undefined, ageMs: 10 } }, 'ok', true],
  ['on its way', { behindMs: 500 }, 'syncing', true],
  ['on its way with a snapshot', { behindMs: 500, snapshotShare: 0.25 }, 'snapshotting', true, /25 %/],
  ['a snapshot of an idle database', { snapshotShare: 0.5 }, 'snapshotting', true],
  ['a try failed', { behindMs: 500, failure }, 'failing', true, /connection refused \(failing for 5.0s, 3 tries\)/],
  ['too far behind', { behindMs: 33_000 }, 'behind', false, /33s behind, allowed are 32s/],
  ['too far behind, and why', { behindMs: 33_000, failure }, 'failing', false, /33s behind.*connection refused/],
  ['a snapshot that takes too long', { behindMs: 33_000, snapshotShare: 0.1 }, 'behind', false],
  [
    'idle and gone',
    { probe: { problem: 'there is no such bucket', ageMs: 1 } },
    'unreachable',
    false,
    /no such bucket/,
  ],
  ['asked a moment ago', { askedForMs: ANSWER_MS_MAX - 1 }, 'ok', true],
  ['asked, and no answer', { askedForMs: ANSWER_MS_MAX + 1 }, 'unreachable', false, /not answered/],
  ['the database is away', { observable: false }, 'waiting', true],
  ['nothing known yet', { established: false, behindMs: 10 }, 'starting', false, /nothing is backed up yet/],
  ['nothing yet, no database', { established: false, observable: false }, 'waiting', false, /nothing is backed up yet/],
  ['nothing yet, first snapshot', { established: false, snapshotShare: 0.999 }, 'snapshotting', false, /99 %/],
  ['nothing yet, and failing', { established: false, failure }, 'failing', false, /nothing.*connection refused/],
  ['left to another writer', { standsBy }, 'stand-by', true, /left to the one on web-2 until.*nothing for 60s/],
  ['left to another one, which is slow', { standsBy, behindMs: 20_000, failure }, 'stand-by', true],
  ['left to another one, which does nothing', { standsBy, behindMs: 33_000 }, 'behind', false, /web-2, which writes n/],
  ['left to another one, unreachable', { standsBy, behindMs: 33_000, failure }, 'failing', false, /33s.*refused/],
  ['no room to wait in', { overflow, behindMs: 500 }, 'overflowed', true, /not collected any more: .*max-spool-size/],
  ['no room, for long', { overflow, failure, behindMs: 33_000 }, 'overflowed', false, /33s.*max-spool.*refused/],
  ['no room, and gone', { overflow, probe: { problem: 'no such bucket', ageMs: 1 } }, 'overflowed', false, /bucket/],
  ['nothing yet, and no room', { established: false, overflow }, 'failing', false, /nothing.*max-spool-size/],
])('a replica: %s', ([, facts, state, healthy, reason = /\S/]) => {
  expect(judgeReplica({ ...inSync, ...facts })).toEqual({ state, healthy, reason: expect.stringMatching(reason) })
})

describe('the bound', () => {
  test('lets an unhealthy replica be told within a minute for the usual intervals', () => {
    expect([1000, 5000, 10_000].map(defaultMaxBehindMs)).toEqual([32_000, 40_000, 50_000])
  })
})
