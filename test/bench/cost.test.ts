// The model of cost against the requests and bytes of a real daemon, counted by the store; and its table, as docs/cost.md has it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { writeConfig } from '../../bench/contenders.js'
import { costTable } from '../../bench/cost.js'
import {
  costOf,
  DAYS_PER_MONTH,
  DEFAULT_POLICY,
  distinctPages,
  dollarsOf,
  PRICES,
  START_REQUESTS,
  snapshotPuts,
  uploadsPerSecond,
} from '../../bench/cost-model.js'
import { withSection } from '../../bench/table.js'
import { requestsIn, type Traffic, trafficBetween, trafficOf, writesIn } from '../../bench/traffic.js'
import { projectRoot } from '../support/make-dist.js'
import { privateMinio } from '../support/minio.js'
import { startOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'

const WRITES = 270
const SYNC_INTERVAL_MS = 10

test('requests and bytes of a real run', { timeout: 120_000 }, async () => {
  const minio = await privateMinio()
  onTestFinished(() => minio.remove())
  const directory = tempDirectory('cost')
  const [databasePath, configPath] = [join(directory, 'app.db'), join(directory, 'litestream.yml')]
  const database = new Database(databasePath)
  onTestFinished(() => void database.close())
  database.pragma('journal_mode = wal')
  database.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)')
  const insert = database.prepare('INSERT INTO item (body) VALUES (?)')
  const bucket = await minio.createBucket('cost')
  writeConfig(configPath, minio, [{ databasePath, bucket, path: 'app' }], SYNC_INTERVAL_MS)
  insert.run('first')

  const nothing = await trafficOf(minio)
  const daemon = await startOurs(['replicate', '-config', configPath])
  onTestFinished(() => void daemon.kill())
  await daemon.waitForLine(/snapshot written/)
  const started = await trafficOf(minio)
  const start = trafficBetween(nothing, started)
  expect(writesIn(start)).toBeGreaterThan(0)
  expect(writesIn(start)).toBeLessThanOrEqual(snapshotPuts(8192) + START_REQUESTS.writes)

  // Writes that are further apart than the interval: one upload each, and one more to close a full index. That one may be taken for
  // a write's here, and then two writes share the next.
  let seen: Traffic = started
  const puts = () => trafficBetween(started, seen).requests.PutObject ?? 0
  for (let write = 0; write < WRITES; write++) {
    const before = puts()
    insert.run(`row ${write}`)
    const uploaded = async () => {
      seen = await trafficOf(minio)
      return puts() > before
    }
    await until(uploaded, { intervalMs: 2, what: `upload ${write}` })
  }
  // In the model's words: written so rarely, for as long as so many writes need.
  const rare = { transactionsPerSecond: 1e-4, activeHours: 24, pagesPerTransaction: 2, hotPages: 2, databaseBytes: 0 }
  const syncIntervalSeconds = SYNC_INTERVAL_MS / 1000
  const month = costOf(rare, { ...DEFAULT_POLICY, syncIntervalSeconds })
  const uploads = uploadsPerSecond(rare.transactionsPerSecond, syncIntervalSeconds) * 86_400 * DAYS_PER_MONTH
  const predicted = (month.puts - DAYS_PER_MONTH * snapshotPuts(0)) * (WRITES / uploads)
  expect(predicted).toBeGreaterThan(WRITES + 1)
  const { PutObject = 0, ...others } = trafficBetween(started, seen).requests
  expect(Math.abs(PutObject - predicted)).toBeLessThan(1.5)
  // Besides, the first claim of a segment may list once.
  expect(requestsIn({ requests: others, receivedBytes: 0 })).toBeLessThanOrEqual(START_REQUESTS.reads)
  // Bytes depend on what is written; small rows into one page compress better than the benchmarks' text.
  const perUpload = trafficBetween(started, seen).receivedBytes / WRITES
  expect(perUpload).toBeGreaterThan(300)
  expect(perUpload).toBeLessThanOrEqual(month.bytesPerUpload)
})

test('uploads: one a transaction when they are rare, one an interval when they are not', () => {
  expect(uploadsPerSecond(0, 1)).toBe(0)
  expect(uploadsPerSecond(0.001, 1)).toBeCloseTo(0.001, 6)
  expect(uploadsPerSecond(1000, 1)).toBeCloseTo(1, 6)
  expect(uploadsPerSecond(1000, 10)).toBeCloseTo(0.1, 6)
  for (const rate of [0.01, 0.1, 1, 10]) expect(uploadsPerSecond(rate, 1)).toBeLessThanOrEqual(Math.min(rate, 1))
})

test('pages: all different when there are many, no more than there are', () => {
  expect(distinctPages(10, 1e9)).toBeCloseTo(10, 3)
  expect(distinctPages(1e6, 100)).toBeCloseTo(100, 6)
  expect(distinctPages(5, 1)).toBe(1)
  expect(distinctPages(0, 100)).toBe(0)
})

test('nothing is written: nothing but the stored bytes is paid for', () => {
  const idle = { transactionsPerSecond: 0, activeHours: 0, pagesPerTransaction: 1, hotPages: 1, databaseBytes: 1e9 }
  const cost = costOf(idle)
  expect([cost.puts, cost.lists, cost.gets, cost.sentBytes, cost.cpuSeconds]).toEqual([0, 0, 0, 0, 0])
  expect(dollarsOf(cost, PRICES['AWS S3 Standard']!)).toBeCloseTo((cost.storedBytes / 1e9) * 0.023, 9)
})

test('docs/cost.md has the table of today', () => {
  const page = readFileSync(join(projectRoot, 'docs', 'cost.md'), 'utf8')
  expect(withSection(page, 'cost', costTable())).toBe(page)
})
