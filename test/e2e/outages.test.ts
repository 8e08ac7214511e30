// Total outages of a store, one kind at a time, with the real command behind a proxy that makes them: the application goes on as if
// nothing were, the log says once that it began and once that it is over, and everything comes in order, in the same generation.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FaultProxy, type Weather } from '../support/fault-proxy.js'
import { minioServer } from '../support/minio.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  linesWith,
  restoredRows,
  s3Target,
  s3Yaml,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

interface Outage {
  readonly name: string
  readonly weather: Weather
  /** As the line at the end names it. */
  readonly reason: RegExp
  readonly kind: 'transient' | 'person'
  /** In the line at the beginning: what it is, or what to do. */
  readonly told: string
}

const OUTAGES: readonly Outage[] = [
  {
    name: 'every connection is reset',
    weather: { 'reset-before': 1 },
    reason: /ECONNRESET \d/,
    kind: 'transient',
    told: 'the connection was cut',
  },
  {
    name: 'every answer is lost after the store has done it',
    weather: { 'reset-after': 1 },
    reason: /ECONNRESET \d/,
    kind: 'transient',
    told: 'the connection was cut',
  },
  {
    name: '503 SlowDown',
    weather: { 'status-503': 1 },
    reason: /SlowDown \d/,
    kind: 'transient',
    told: 'asks to slow down',
  },
  {
    name: '429 TooManyRequests',
    weather: { 'status-429': 1 },
    reason: /TooManyRequests \d/,
    kind: 'transient',
    told: 'HTTP 429',
  },
  {
    name: '403 AccessDenied, until somebody repairs it',
    weather: { 'status-403': 1 },
    reason: /AccessDenied \d/,
    kind: 'person',
    told: 'the key needs permission',
  },
]

/** More is in the WAL between two checkpoints only when something keeps them from finishing. */
const AUTO_CHECKPOINT_PAGES = 300
const COMMITS = 600
const WAL_BYTES_MAX = 4 << 20

describe.each(OUTAGES)('$name', ({ weather, reason, kind, told }) => {
  test('the application is not held up, two lines tell of it, everything is caught up in order', async () => {
    const directory = tempDirectory('outage')
    const minio = await minioServer()
    const bucket = await minio.createBucket('outage')
    const proxy = await FaultProxy.start(minio.endpoint, 1)
    onTestFinished(() => proxy.close())
    const app = new App(join(directory, 'storage', 'app.db'))
    // Whoever stands in its way, however shortly, makes a commit fail.
    const writer = new Database(app.path, { timeout: 0 })
    onTestFinished(() => void writer.close())
    writer.pragma(`wal_autocheckpoint = ${AUTO_CHECKPOINT_PAGES}`)
    writer.exec('CREATE TABLE ballast (id INTEGER PRIMARY KEY, bytes BLOB)')
    const insert = writer.prepare('INSERT INTO commits VALUES (?)')
    const ballast = writer.prepare('INSERT OR REPLACE INTO ballast VALUES (?, randomblob(3000))')
    const commit = writer.transaction((name: string, number: number) => {
      insert.run(name)
      ballast.run(number % 40)
    })
    const write = (label: string): void => {
      const name = `${label} ${app.rows.length}`
      commit(name, app.rows.length)
      app.rows.push(name)
    }
    const target = s3Target(minio, bucket, 'app')
    const replica = `{${s3Yaml({ ...minio, endpoint: proxy.endpoint }, bucket, 'app')}, sync-interval: 20ms}`
    const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, max-wal-size: 1MiB, max-spool-size: 8MiB, replicas: [${replica}]}]\n`
    const temporary = tempDirectory('outage-tmp')
    const daemon = await startWithConfig(directory, yaml, [], { env: { TMPDIR: temporary } })
    write('before')
    await untilReplicated(app, target, directory)

    proxy.weather = weather
    let largestWal = 0
    let spooled = 0
    for (let i = 0; i < COMMITS; i++) {
      write('during')
      largestWal = Math.max(largestWal, statSync(`${app.path}-wal`).size)
      if (i % 20 === 0) spooled = Math.max(spooled, bytesBelow(temporary))
      // The pace of an application that is busy.
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const begin = await daemon.waitForLine(/msg="monitor error"/)
    expect(begin).toContain(told)
    expect(begin).toContain(`kind=${kind}`)
    expect(begin).toContain(proxy.endpoint)
    const before = proxy.requests
    await until(() => proxy.requests > before, { what: 'another try' })
    expect(daemon.stdout()).not.toContain('replica works again')

    proxy.weather = {}
    // Everything that a restore gives on the way is a beginning of what was committed, and never a shorter one than before.
    let reached = 0
    await until(
      async () => {
        const rows = (await restoredRows(target, directory)) ?? []
        expect(rows).toEqual(app.rows.slice(0, rows.length))
        expect(rows.length).toBeGreaterThanOrEqual(reached)
        reached = rows.length
        return reached === app.rows.length
      },
      { what: 'everything to be caught up', timeoutMs: 60_000 },
    )
    const end = await daemon.waitForLine(/msg="replica works again"/)
    expect(end).toMatch(reason)
    expect(Number(/ failures=(\d+)/.exec(end)?.[1])).toBeGreaterThan(0)
    expect(Number(/ shipped=(\d+)/.exec(end)?.[1])).toBeGreaterThan(0)
    write('after')
    await untilReplicated(app, target, directory)
    const finished = await daemon.stop()
    expectGoodEnd(finished)
    const log = finished.stdout
    expect(linesWith(log, 'level=ERROR')).toHaveLength(1)
    expect(linesWith(log, 'replica works again')).toHaveLength(1)
    expect(linesWith(log, 'sync: new generation')).toHaveLength(1)
    expect(linesWith(log, 'snapshot written')).toHaveLength(1)
    expect(app.rows).toHaveLength(COMMITS + 2)
    expect(largestWal).toBeLessThan(WAL_BYTES_MAX)
    expect(spooled).toBeLessThanOrEqual(8 << 20)
  }, 120_000)
})

function bytesBelow(directory: string): number {
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    // One that has gone meanwhile has no size.
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  }
  return bytes
}
