// One picture of everything at one moment, for the health check, status and metrics: taken from the followers, the shippers and the
// files themselves, so that it is right also when one of the loops hangs. Plain values: it goes through the control socket as JSON.

import { statSync } from 'node:fs'
import type { Clock } from '../clock.js'
import { type DatabaseWord, judgeDatabase, judgeReplica, type ReplicaWord, type Verdict } from '../plan/health.js'
import type { ReplicaClient } from '../replica/client.js'
import type { OperationCounts } from '../replica/with-counts.js'
import type { WalReader } from '../source/wal-readers.js'
import { VERSION } from '../version.js'
import type { Follower } from './follower.js'
import type { OtherWriters } from './other-writers.js'
import type { Probe } from './probe.js'
import type { ReplicaFailure, ReplicaRecord } from './replica-record.js'
import type { SourceStats } from './source-stats.js'
import type { Validation, Validator } from './validator.js'

export interface DaemonReport {
  readonly version: string
  readonly pid: number
  readonly startedAtMs: number
  readonly atMs: number
  readonly healthy: boolean
  readonly databases: readonly DatabaseReport[]
}

export interface DatabaseReport extends Verdict<DatabaseWord> {
  readonly path: string
  /** Of the files; absent where there is none. */
  readonly databaseBytes?: number | undefined
  readonly walBytes?: number | undefined
  /** Committed frames in the WAL, and how many of them are in the database file. Absent while no application has it open. */
  readonly wal?: { readonly frames: number; readonly backfilled: number } | undefined
  readonly readers: readonly WalReader[]
  readonly stats: Readonly<Omit<SourceStats, 'lose'>>
  readonly replicas: readonly ReplicaReport[]
}

export interface ReplicaReport extends Verdict<ReplicaWord> {
  readonly name: string
  readonly type: ReplicaClient['type']
  readonly url: string
  /** In this run it was seen or made to hold the database. */
  readonly established: boolean
  /** `generation/index:offset`; empty before there is one. */
  readonly position: string
  /** The age of the oldest change that is not acknowledged; 0 when there is none. Standing by: how long the other writer is overdue. */
  readonly behindMs: number
  /** Absent while it is not known: a snapshot has to be taken. */
  readonly behindBytes?: number | undefined
  readonly maxBehindMs: number
  readonly lastUploadAtMs?: number | undefined
  readonly lastSnapshotAtMs?: number | undefined
  /** Of a snapshot under way, 0 to 1. */
  readonly snapshotShare?: number | undefined
  readonly lastFailure?: ReplicaFailure | undefined
  /** The last restore that was compared with the database; absent when there was none yet. */
  readonly lastValidation?: Validation | undefined
  /** When a restore was last found equal to the database. */
  readonly lastVerifiedAtMs?: number | undefined
  /** Validations by outcome. */
  readonly validations: Readonly<Record<Validation['outcome'], number>>
  readonly uploads: number
  readonly generations: number
  readonly healed: number
  readonly walBytes: number
  readonly failures: Readonly<Record<string, number>>
  readonly requests: OperationCounts
}

/** What a report is made of. */
export interface DatabaseUnit {
  readonly path: string
  readonly follower: Pick<Follower, 'facts' | 'stats' | 'walReaders'>
  readonly replicas: readonly ReplicaUnit[]
}

export interface ReplicaUnit {
  readonly name: string
  readonly client: Pick<ReplicaClient, 'type' | 'url'>
  readonly counts: OperationCounts
  readonly maxBehindMs: number
  readonly shipper: {
    readonly record: ReplicaRecord
    readonly behindBytes: number
    readonly position: string
    readonly standsBy: OtherWriters['standsBy']
  }
  readonly probe: Pick<Probe, 'result' | 'askedForMs'>
  readonly validator?: Pick<Validator, 'last' | 'lastOkAtMs' | 'counts'> | undefined
}

export function reportDaemon(units: readonly DatabaseUnit[], clock: Clock, startedAtMs: number): DaemonReport {
  const databases = units.map((unit) => reportDatabase(unit, clock.monotonic()))
  const healthy = databases.every((database) => database.healthy && database.replicas.every((one) => one.healthy))
  return { version: VERSION, pid: process.pid, startedAtMs, atMs: clock.now(), healthy, databases }
}

function reportDatabase({ path, follower, replicas }: DatabaseUnit, nowMs: number): DatabaseReport {
  const facts = follower.facts()
  return {
    path,
    ...judgeDatabase(facts),
    databaseBytes: bytesOf(path),
    walBytes: bytesOf(`${path}-wal`),
    wal: facts.wal,
    readers: follower.walReaders(),
    stats: { ...follower.stats },
    replicas: replicas.map((replica) => reportReplica(replica, facts, nowMs)),
  }
}

function reportReplica(
  { name, client, counts, maxBehindMs, shipper, probe, validator }: ReplicaUnit,
  source: ReturnType<Follower['facts']>,
  nowMs: number,
): ReplicaReport {
  const { record, standsBy } = shipper
  const since = Math.min(record.behindSinceMs ?? nowMs, source.unreadSinceMs ?? nowMs)
  // What another writer sees to is not our arrear.
  const behindMs = standsBy ? standsBy.overdueMs : Math.max(0, nowMs - since)
  const { lastFailure, failuresInARow, failingSinceMs, snapshotShare } = record
  const failing = failuresInARow > 0 && lastFailure !== undefined
  const verdict = judgeReplica({
    observable: source.status === 'attached' || source.status === 'quiescent',
    established: record.established,
    snapshotShare,
    behindMs,
    maxBehindMs,
    standsBy,
    overflow: record.overflow,
    failure: failing
      ? { message: lastFailure.message, ageMs: nowMs - failingSinceMs, count: failuresInARow }
      : undefined,
    probe: probe.result(),
    askedForMs: probe.askedForMs,
  })
  return {
    name,
    type: client.type,
    url: client.url,
    ...verdict,
    established: record.established,
    position: shipper.position,
    behindMs,
    behindBytes: record.lacksAll ? undefined : shipper.behindBytes + source.unreadBytes,
    maxBehindMs,
    lastUploadAtMs: record.lastUploadAtMs,
    lastSnapshotAtMs: record.lastSnapshot?.atMs,
    snapshotShare,
    lastFailure,
    lastValidation: validator?.last,
    lastVerifiedAtMs: validator?.lastOkAtMs,
    validations: validator?.counts ?? { ok: 0, failed: 0, inconclusive: 0 },
    uploads: record.uploads,
    generations: record.generations,
    healed: record.healed,
    walBytes: record.walBytes,
    failures: Object.fromEntries(record.failures),
    requests: counts,
  }
}

/** Only the directory entry is asked; nothing is opened. */
function bytesOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size
  } catch {
    return undefined
  }
}
