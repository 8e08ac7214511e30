// The report as Prometheus metrics: the only importer of prom-client, loaded only when `addr` is set. Names are those of the original
// where the meaning is the same; docs/metrics.md has the table. Nothing is counted here: every value is taken from the report at the
// moment of the scrape, so a loop that hangs cannot freeze what grows by itself.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { DaemonReport, DatabaseReport, ReplicaReport } from '../replicate/report.js'

type Labels = Readonly<Record<string, string>>
type Values = Iterable<readonly [labels: Labels, value: number | undefined]>

interface Metric {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly labels: readonly string[]
  readonly values: (report: DaemonReport) => Values
}

const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000)

const ofDatabase = (
  type: Metric['type'],
  name: string,
  help: string,
  value: (database: DatabaseReport) => number | undefined,
): Metric => ({
  name,
  type,
  help,
  labels: ['db'],
  *values({ databases }) {
    for (const database of databases) yield [{ db: database.path }, value(database)]
  },
})

const ofReplica = (
  type: Metric['type'],
  name: string,
  help: string,
  value: (replica: ReplicaReport) => number | undefined,
): Metric => ({
  name,
  type,
  help,
  labels: ['db', 'name'],
  *values({ databases }) {
    for (const { path, replicas } of databases) {
      for (const replica of replicas) yield [{ db: path, name: replica.name }, value(replica)]
    }
  },
})

/** One series for each entry of what `entries` gives. */
const ofReplicaBy = (
  label: string,
  name: string,
  help: string,
  entries: (replica: ReplicaReport) => Readonly<Record<string, number>>,
): Metric => ({
  name,
  type: 'counter',
  help,
  labels: ['db', 'name', label],
  *values({ databases }) {
    for (const { path, replicas } of databases) {
      for (const replica of replicas) {
        for (const [key, value] of Object.entries(entries(replica))) {
          yield [{ db: path, name: replica.name, [label]: key }, value]
        }
      }
    }
  },
})

/** The original's: all replicas of a type together. */
const ofOperations = (name: string, help: string, of: 'requests' | 'bytes', operations: readonly string[]): Metric => ({
  name,
  type: 'counter',
  help,
  labels: ['operation', 'replica_type'],
  *values({ databases }) {
    const replicas = databases.flatMap((database) => database.replicas)
    for (const type of new Set(replicas.map((replica) => replica.type))) {
      for (const operation of operations) {
        const same = replicas.filter((replica) => replica.type === type)
        const sum = same.reduce((total, { requests }) => total + requests[operation as 'PUT'][of], 0)
        yield [{ operation, replica_type: type }, sum]
      }
    }
  },
})

const ofCheckpoints = (name: string, help: string, value: (stats: DatabaseReport['stats']) => number): Metric => ({
  name,
  type: 'counter',
  help,
  labels: ['db', 'mode'],
  *values({ databases }) {
    for (const { path, stats } of databases) {
      if (stats.checkpoints > 0) yield [{ db: path, mode: 'PASSIVE' }, value(stats)]
    }
  },
})

const positionAt = (part: 1 | 2) => (replica: ReplicaReport) => {
  const match = /\/([0-9a-f]{8}):(\d+)$/.exec(replica.position)
  return match ? Number.parseInt(match[part] as string, part === 1 ? 16 : 10) : undefined
}

const failuresOf = ({ requests }: ReplicaReport): Record<string, number> =>
  Object.fromEntries(Object.entries(requests).map(([operation, { failures }]) => [operation, failures]))

export const METRICS: readonly Metric[] = [
  ofDatabase('gauge', 'litestream_db_size', 'The current size of the database file in bytes', (d) => d.databaseBytes),
  ofDatabase('gauge', 'litestream_wal_size', 'The current size of the WAL file in bytes', (d) => d.walBytes ?? 0),
  ofDatabase('counter', 'litestream_total_wal_bytes', 'Bytes of WAL frames that were read', (d) => d.stats.walBytes),
  ofDatabase('counter', 'litestream_sync_count', 'Looks at the database', (d) => d.stats.looks),
  ofDatabase('counter', 'litestream_sync_error_count', 'Looks that failed', (d) => d.stats.lookErrors),
  ofDatabase('counter', 'litestream_sync_seconds', 'Time spent looking', (d) => seconds(d.stats.lookMs)),
  ofCheckpoints('litestream_checkpoint_count', 'Checkpoints of our own', (stats) => stats.checkpoints),
  ofCheckpoints('litestream_checkpoint_error_count', 'Those that failed', (stats) => stats.checkpointErrors),
  ofCheckpoints('litestream_checkpoint_seconds', 'Time spent in them', (stats) => stats.checkpointMs / 1000),
  ofReplica('counter', 'litestream_replica_wal_bytes', 'Uncompressed bytes of segments uploaded', (r) => r.walBytes),
  ofReplica('gauge', 'litestream_replica_wal_index', 'The index of the replicated position', positionAt(1)),
  ofReplica('gauge', 'litestream_replica_wal_offset', 'The offset of the replicated position', positionAt(2)),
  ofReplicaBy('status', 'litestream_replica_validation_total', 'Validations by outcome', ({ validations }) => ({
    ok: validations.ok,
    error: validations.failed,
    inconclusive: validations.inconclusive,
  })),
  ofOperations('litestream_replica_operation_total', 'Requests that succeeded', 'requests', [
    'PUT',
    'GET',
    'LIST',
    'DELETE',
  ]),
  ofOperations('litestream_replica_operation_bytes', 'Stored bytes sent and received', 'bytes', ['PUT', 'GET']),

  ofDatabase('gauge', 'litestream_db_healthy', '1 when the database can be observed', (d) => Number(d.healthy)),
  ofDatabase('counter', 'litestream_wal_restarts_total', 'WAL restarts crossed with proof', (d) => d.stats.crossed),
  ofDatabase('counter', 'litestream_wal_lost_total', 'Times that continuity could not be proved', (d) => d.stats.lost),
  ofDatabase('gauge', 'litestream_wal_frames', 'Committed frames in the WAL', (d) => d.wal?.frames),
  ofDatabase('gauge', 'litestream_wal_backfilled_frames', 'Those that are in the database', (d) => d.wal?.backfilled),
  ofReplica('gauge', 'litestream_replica_healthy', '1 when the replica is up to date', (r) => Number(r.healthy)),
  ofReplica('gauge', 'litestream_replica_stand_by', '1 while another writer has the replica', (r) =>
    Number(r.state === 'stand-by'),
  ),
  ofReplica('gauge', 'litestream_replica_overflowed', '1 while changes are not collected any more', (r) =>
    Number(r.state === 'overflowed'),
  ),
  ofReplica('gauge', 'litestream_replica_seconds_behind', 'Age of the oldest change that is not acknowledged', (r) =>
    seconds(r.behindMs),
  ),
  ofReplica('gauge', 'litestream_replica_max_seconds_behind', 'The bound for it (max-behind)', (r) =>
    seconds(r.maxBehindMs),
  ),
  ofReplica('gauge', 'litestream_replica_bytes_behind', 'Bytes of changed pages that wait', (r) => r.behindBytes),
  ofReplica('gauge', 'litestream_replica_last_success_timestamp_seconds', 'When an upload was last acknowledged', (r) =>
    seconds(r.lastUploadAtMs),
  ),
  ofReplica('gauge', 'litestream_replica_last_snapshot_timestamp_seconds', 'When the newest snapshot was made', (r) =>
    seconds(r.lastSnapshotAtMs),
  ),
  ofReplica(
    'gauge',
    'litestream_replica_last_verified_timestamp_seconds',
    'When a restore was last found equal to the database',
    (r) => seconds(r.lastVerifiedAtMs),
  ),
  ofReplica('counter', 'litestream_replica_generations_total', 'Generations begun', (r) => r.generations),
  ofReplica('counter', 'litestream_replica_healed_total', 'Lost continuity healed by comparison', (r) => r.healed),
  ofReplicaBy('kind', 'litestream_replica_errors_total', 'Failed tries to replicate, by kind', (r) => ({
    transient: 0,
    person: 0,
    bug: 0,
    ...r.failures,
  })),
  ofReplicaBy('operation', 'litestream_replica_requests_total', 'Requests that succeeded', ({ requests }) =>
    Object.fromEntries(Object.entries(requests).map(([operation, count]) => [operation, count.requests])),
  ),
  ofReplicaBy('operation', 'litestream_replica_request_errors_total', 'Requests that failed', failuresOf),
  ofReplicaBy('operation', 'litestream_replica_request_bytes_total', 'Stored bytes', ({ requests }) => ({
    PUT: requests.PUT.bytes,
    GET: requests.GET.bytes,
  })),
  {
    name: 'litestream_build_info',
    type: 'gauge',
    help: 'Always 1; the version is a label',
    labels: ['version'],
    values: ({ version }) => [[{ version }, 1]],
  },
]

/** A registry of its own, with the process's metrics (`process_*`, `nodejs_*`) in it. */
export class Exposition {
  private readonly registry = new Registry()
  private readonly metrics = METRICS.map((metric) => {
    const { name, help, labels, type } = metric
    const options = { name, help, labelNames: [...labels], registers: [this.registry] }
    return { metric, collector: type === 'gauge' ? new Gauge(options) : new Counter(options) }
  })

  constructor() {
    // The default looks at the event loop a hundred times a second.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 })
  }

  get contentType(): string {
    return this.registry.contentType
  }

  /** The text of one scrape. Prepared anew and read in one go, so that two scrapes at a time do not mix. */
  text(report: DaemonReport): Promise<string> {
    for (const { metric, collector } of this.metrics) {
      collector.reset()
      for (const [labels, value] of metric.values(report)) if (value !== undefined) collector.inc(labels, value)
    }
    return this.registry.metrics()
  }
}
