// What is served on addr, from a report made by hand, and that documents and alert rules name the metrics that there are.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { METRICS } from '../../../src/http/metrics.js'
import { HttpServer } from '../../../src/http/server.js'
import { silentLogger } from '../../../src/logger.js'
import type { DaemonReport, DatabaseReport, ReplicaReport } from '../../../src/replicate/report.js'
import { SourceStats } from '../../../src/replicate/source-stats.js'
import { projectRoot } from '../../support/make-dist.js'

const count = (requests: number, bytes = 0) => ({ requests, failures: 1, bytes })
const replica: ReplicaReport = {
  name: 's3',
  type: 's3',
  url: 's3://b/app',
  state: 'ok',
  healthy: true,
  reason: 'everything is in the replica',
  established: true,
  position: '0123456789abcdef/0000001f:4152',
  behindMs: 1500,
  behindBytes: 4096,
  maxBehindMs: 32_000,
  lastUploadAtMs: 1_700_000_000_250,
  lastSnapshotAtMs: 1_700_000_000_000,
  validations: { ok: 2, failed: 1, inconclusive: 0 },
  uploads: 3,
  generations: 1,
  healed: 2,
  walBytes: 99,
  failures: { transient: 4 },
  requests: { PUT: count(5, 50), GET: count(6, 60), LIST: count(7), DELETE: count(8) },
}
const database: DatabaseReport = {
  path: '/data/app.db',
  state: 'ok',
  healthy: true,
  reason: 'following the WAL',
  databaseBytes: 8192,
  walBytes: 4152,
  wal: { frames: 3, backfilled: 2 },
  readers: [],
  stats: { ...new SourceStats(), looks: 10, lookMs: 2500, walBytes: 777, crossed: 3, lost: 1 },
  replicas: [replica, { ...replica, name: 'file', type: 'file', lastVerifiedAtMs: 1_700_000_001_000 }],
}
const report = (change: Partial<ReplicaReport> = {}): DaemonReport => ({
  version: '1.2.3',
  pid: 1,
  startedAtMs: 0,
  atMs: 0,
  healthy: true,
  databases: [{ ...database, replicas: database.replicas.map((one) => ({ ...one, ...change })) }],
})

async function serve(current: () => DaemonReport) {
  let probes = 0
  const probe = async () => void probes++
  const server = await HttpServer.start('127.0.0.1:0', { report: current, probe }, silentLogger)
  onTestFinished(async () => server?.stop())
  const get = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${server?.port}${path}`, { method })
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') }
  }
  return { get, probes: () => probes, server }
}

describe('/metrics', () => {
  test('every value under its name; a second scrape counts nothing twice', async () => {
    const { get, probes } = await serve(() => report())
    await get('/metrics')
    const { text, type } = await get('/metrics')
    expect(type).toContain('text/plain; version=0.0.4')
    expect(probes()).toBe(0)
    const db = 'db="/data/app.db"'
    for (const line of [
      `litestream_db_size{${db}} 8192`,
      `litestream_wal_size{${db}} 4152`,
      `litestream_total_wal_bytes{${db}} 777`,
      `litestream_sync_count{${db}} 10`,
      `litestream_sync_seconds{${db}} 2.5`,
      `litestream_wal_restarts_total{${db}} 3`,
      `litestream_wal_lost_total{${db}} 1`,
      `litestream_replica_wal_index{${db},name="s3"} 31`,
      `litestream_replica_wal_offset{${db},name="s3"} 4152`,
      `litestream_replica_seconds_behind{${db},name="s3"} 1.5`,
      `litestream_replica_stand_by{${db},name="s3"} 0`,
      `litestream_replica_last_success_timestamp_seconds{${db},name="s3"} 1700000000.25`,
      `litestream_replica_last_verified_timestamp_seconds{${db},name="file"} 1700000001`,
      `litestream_replica_healed_total{${db},name="file"} 2`,
      `litestream_replica_validation_total{${db},name="s3",status="error"} 1`,
      `litestream_replica_errors_total{${db},name="s3",kind="transient"} 4`,
      `litestream_replica_errors_total{${db},name="s3",kind="person"} 0`,
      `litestream_replica_requests_total{${db},name="s3",operation="LIST"} 7`,
      `litestream_replica_operation_total{operation="PUT",replica_type="s3"} 5`,
      `litestream_replica_operation_bytes{operation="GET",replica_type="file"} 60`,
      'litestream_build_info{version="1.2.3"} 1',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
    // Never verified is not "verified in 1970".
    expect(text).not.toContain(`litestream_replica_last_verified_timestamp_seconds{${db},name="s3"}`)
    expect(text).toContain('process_resident_memory_bytes ')
    for (const [state, name] of [
      ['stand-by', 'stand_by'],
      ['overflowed', 'overflowed'],
    ] as const) {
      const { get: other } = await serve(() => report({ state }))
      expect((await other('/metrics')).text).toContain(`litestream_replica_${name}{${db},name="s3"} 1`)
    }
  })
})

describe('/healthz and /readyz', () => {
  test('all is well', async () => {
    const { get, probes } = await serve(() => report())
    expect(await get('/healthz')).toMatchObject({ status: 200, text: 'ok\n' })
    expect(probes()).toBe(1)
    expect(await get('/readyz')).toMatchObject({ status: 200, text: 'ok\n' })
  })

  test('behind: not healthy, and still ready; nothing backed up: not ready', async () => {
    let change: Partial<ReplicaReport> = { healthy: false, state: 'behind', reason: '99s behind' }
    const { get } = await serve(() => report(change))
    expect(await get('/healthz')).toMatchObject({
      status: 503,
      text: '/data/app.db s3: behind: 99s behind\n/data/app.db file: behind: 99s behind\n',
    })
    expect((await get('/readyz')).status).toBe(200)
    change = { established: false, reason: 'nothing is backed up yet' }
    expect(await get('/readyz')).toMatchObject({ status: 503, text: expect.stringContaining('nothing is backed up') })
  })
})

test('nothing else is served, and nothing can be changed', async () => {
  const { get } = await serve(() => report())
  for (const path of ['/', '/debug/pprof/', '/control', '/toString', '/metrics/x']) {
    expect((await get(path)).status, path).toBe(404)
  }
  expect((await get('/metrics', 'POST')).status).toBe(405)
  expect(await get('/metrics', 'HEAD')).toMatchObject({ status: 200, text: '' })
})

test('an address that is taken is an error in the log, and no reason to stop', async () => {
  const { server } = await serve(() => report())
  const errors: string[] = []
  const log = { ...silentLogger, error: (message: string) => void errors.push(message) }
  const taken = await HttpServer.start(`127.0.0.1:${server?.port}`, { report, probe: async () => {} }, log)
  expect(taken).toBeUndefined()
  expect(errors).toEqual(['cannot start metrics server'])
})

describe('the documents', () => {
  const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
  const names = METRICS.map(({ name }) => name)

  test('docs/metrics.md has each metric in its table, and no other', () => {
    const rows = [...read('docs/metrics.md').matchAll(/^\| `(litestream_\w+)`/gm)].map(([, name]) => name as string)
    expect(rows.sort()).toEqual([...names].sort())
  })

  test('docs/alerts.yml names only metrics that there are', () => {
    const rules = parse(read('docs/alerts.yml')) as { groups: { rules: { alert: string; expr: string }[] }[] }
    const expressions = rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr))
    const used = expressions.flatMap((expr) => expr.match(/\blitestream_\w+/g) ?? [])
    expect(expressions.length).toBeGreaterThan(5)
    expect(used.length).toBeGreaterThanOrEqual(expressions.length)
    expect(used.filter((name) => !names.includes(name))).toEqual([])
  })
})
