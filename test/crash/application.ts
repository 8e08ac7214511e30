// The application of the crash tests, a process of its own: commits the workload's transactions one after the other and
// acknowledges each on stdout (`ack <n>`) after SQLite has. In between it does what applications do: checkpoints of every kind,
// VACUUM, transactions that spill and are rolled back, pauses and bursts.
//
// Told by messages: `pause` (answers `paused <n>`), `go`, `close` (closes the database and ends).

import { writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { mixSeeds, Random } from './random.js'
import {
  ballastOf,
  HISTORY_LENGTH,
  indexChange,
  nextChain,
  type Operation,
  operationsOf,
  type Workload,
} from './workload.js'

export interface ApplicationOptions {
  readonly path: string
  readonly workload: Workload
  readonly autoCheckpoint: number
  readonly synchronous: 'FULL' | 'NORMAL'
  /** Mean pause between two transactions. */
  readonly paceMs: number
  /** Probability of a VACUUM after a transaction. */
  readonly vacuum: number
  /** Begin paused. */
  readonly paused: boolean
}

const options = JSON.parse(process.argv[2] as string) as ApplicationOptions
const { workload } = options
/** For what leaves no trace in the state; differs from start to start. */
const random = new Random(mixSeeds(workload.seed, process.pid))
const say = (text: string): void => void writeSync(1, `${text}\n`)

const database = new Database(options.path, { timeout: 15_000 })
database.pragma(`page_size = ${workload.pageSize}`)
database.pragma(`auto_vacuum = ${workload.autoVacuum}`)
database.pragma('journal_mode = WAL')
database.pragma(`synchronous = ${options.synchronous}`)
database.pragma(`wal_autocheckpoint = ${options.autoCheckpoint}`)
if (random.chance(0.3)) database.pragma('cache_size = 12')

function begin(): number {
  database.exec('BEGIN IMMEDIATE')
  const exists = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'counter'").get()
  if (!exists) {
    database.exec(`
      CREATE TABLE counter (n INTEGER NOT NULL);
      CREATE TABLE history (n INTEGER PRIMARY KEY, chain TEXT NOT NULL);
      CREATE TABLE items (id INTEGER PRIMARY KEY, tag INTEGER NOT NULL, body BLOB NOT NULL);
      CREATE TABLE pairs (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE ballast (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
      INSERT INTO counter VALUES (0);`)
    const insert = database.prepare('INSERT INTO ballast VALUES (?, ?)')
    for (const { id, body } of ballastOf(workload)) insert.run(id, body)
  }
  database.exec('COMMIT')
  return (database.prepare('SELECT n FROM counter').get() as { n: number }).n
}

let n = begin()
say(`open ${n}`)

const statements = {
  put: database.prepare(
    'INSERT INTO items VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tag = excluded.tag, body = excluded.body',
  ),
  remove: database.prepare('DELETE FROM items WHERE id = ?'),
  bump: database.prepare('UPDATE items SET tag = tag + 1 WHERE id >= ? AND id < ?'),
  pair: database.prepare('INSERT INTO pairs VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value'),
  unpair: database.prepare('DELETE FROM pairs WHERE name = ?'),
  chain: database.prepare('SELECT chain FROM history WHERE n = ?'),
  count: database.prepare('UPDATE counter SET n = ?'),
  remember: database.prepare('INSERT INTO history VALUES (?, ?)'),
  forget: database.prepare('DELETE FROM history WHERE n <= ?'),
}

function execute(operation: Operation): void {
  switch (operation.kind) {
    case 'put':
      statements.put.run(operation.id, operation.tag, operation.body)
      break
    case 'remove':
      statements.remove.run(operation.id)
      break
    case 'bump':
      statements.bump.run(operation.from, operation.until)
      break
    case 'pair':
      statements.pair.run(operation.name, operation.value)
      break
    case 'unpair':
      statements.unpair.run(operation.name)
  }
}

function commit(): void {
  const next = n + 1
  const operations = operationsOf(workload, next)
  database.exec('BEGIN IMMEDIATE')
  for (const operation of operations) execute(operation)
  const change = indexChange(next)
  if (change === 'create') database.exec('CREATE INDEX items_by_tag ON items (tag, id)')
  if (change === 'drop') database.exec('DROP INDEX items_by_tag')
  const before = (statements.chain.get(n) as { chain: string } | undefined)?.chain ?? ''
  statements.remember.run(next, nextChain(before, next, operations))
  statements.forget.run(next - HISTORY_LENGTH)
  statements.count.run(next)
  database.exec('COMMIT')
  n = next
  say(`ack ${n}`)
}

/** Leaves frames without a commit mark in the WAL when the cache is small. */
function rollBack(): void {
  database.exec('BEGIN IMMEDIATE')
  for (let i = 0; i < 5; i++) for (const operation of operationsOf(workload, n + 1 + i)) execute(operation)
  database.exec('ROLLBACK')
}

const CHECKPOINTS = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const

let paused = options.paused
let closing = false
let wake: (() => void) | undefined
process.on('message', (message) => {
  if (message === 'pause') {
    paused = true
    say(`paused ${n}`)
  }
  if (message === 'go') paused = false
  if (message === 'close') closing = true
  wake?.()
})

const sleep = (ms: number): Promise<void> =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    wake = () => {
      clearTimeout(timer)
      resolve()
    }
  })

let burst = 0
while (!closing) {
  if (paused) {
    await sleep(1000)
    continue
  }
  commit()
  if (random.chance(0.04)) rollBack()
  if (random.chance(0.015)) {
    // Readers may keep a checkpoint from ending: a short patience, as many applications have for it.
    database.pragma('busy_timeout = 300')
    database.pragma(`wal_checkpoint(${random.pick(CHECKPOINTS)})`)
    database.pragma('busy_timeout = 15000')
  }
  if (random.chance(options.vacuum)) database.exec('VACUUM')
  if (random.chance(0.01)) burst = random.below(40)
  // Messages are read between two transactions in any case.
  if (burst-- > 0) await new Promise((resolve) => setImmediate(resolve))
  else await sleep(random.next() * 2 * options.paceMs)
}
database.close()
say(`closed ${n}`)
process.disconnect()
