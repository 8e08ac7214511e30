// The application of the benchmarks, a process of its own: one connection that writes transactions in a plain loop and takes the
// time of each. It knows nothing of replication.

import { openSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import { Random } from '../test/crash/random.js'
import { serve } from '../test/support/observer/serve.js'
import {
  ACKNOWLEDGED_BYTES,
  BIG_PAUSE_MS,
  type LoadKind,
  type LoadOptions,
  type LoadReport,
  NEWEST_TRANSACTION_SQL,
} from './loads.js'
import { percentile } from './statistics.js'

const WEB_PER_SECOND = 121
const BODY_BYTES = 250
const FILLED_ROW_BY_ROW_BYTES = 100e6
const ROWS: Readonly<Record<LoadKind, { inserts: number; updates: number }>> = {
  flat: { inserts: 5, updates: 5 },
  web: { inserts: 1, updates: 2 },
  big: { inserts: 18_000, updates: 2_000 },
}

let database: Database.Database | undefined
const many: Database.Database[] = []

const opened = (): Database.Database => {
  if (!database) throw new Error('the application has not opened its database')
  return database
}

/** Text that compresses about as well as an application's: words of a small vocabulary with numbers in between. */
function textPool(random: Random): string {
  const letters = 'etaoinshrdlucmfwypvbgkjqxz'
  const word = () => Array.from({ length: 3 + random.below(8) }, () => letters[random.below(letters.length)]).join('')
  const vocabulary = Array.from({ length: 2000 }, word)
  const words = Array.from({ length: 60_000 }, () => (random.chance(0.2) ? random.below(1e9) : random.pick(vocabulary)))
  return words.join(' ')
}

function rowWriter(random: Random) {
  const pool = textPool(random)
  const body = () => {
    const at = random.below(pool.length - BODY_BYTES)
    return pool.slice(at, at + BODY_BYTES)
  }
  const insert = opened().prepare('INSERT INTO item (written_in, written_ms, body) VALUES (?, ?, ?)')
  const update = opened().prepare('UPDATE item SET body = ? WHERE id = ?')
  let rows = opened().prepare('SELECT coalesce(max(id), 0) FROM item').pluck().get() as number
  return {
    insert(transaction: number, atMs: number) {
      insert.run(transaction, atMs, body())
      rows++
    },
    update: () => void update.run(body(), 1 + random.below(rows)),
  }
}

const sleepers = new Int32Array(new SharedArrayBuffer(4))

serve({
  open(path: string) {
    database = new Database(path, { timeout: 5000 })
    database.pragma('journal_mode = wal')
    database.pragma('synchronous = normal')
    database.pragma('wal_autocheckpoint = 1000')
  },

  /** Make the table and fill it until the database has this many bytes. */
  fill({ bytes, seed }: { bytes: number; seed: number }) {
    opened().exec('CREATE TABLE item (id INTEGER PRIMARY KEY, written_in INTEGER, written_ms REAL, body TEXT)')
    const rows = rowWriter(new Random(seed))
    const some = opened().transaction(() => {
      for (let i = 0; i < 1000; i++) rows.insert(0, 0)
    })
    // Nobody has it yet: without a journal it is filled once instead of twice.
    opened().pragma('journal_mode = off')
    opened().pragma('synchronous = off')
    const size = opened().prepare('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size').pluck()
    const left = () => bytes - (size.get() as number)
    do some()
    while (left() > 0 && bytes - left() < FILLED_ROW_BY_ROW_BYTES)
    // The rest are the same rows again and again, much further apart than any compressor looks back.
    const again = opened().prepare(
      'INSERT INTO item (written_in, written_ms, body) SELECT 0, 0, body FROM item LIMIT ?',
    )
    while (left() > 0) again.run(Math.min(100_000, Math.ceil(left() / BODY_BYTES)))
    opened().pragma('journal_mode = wal')
  },

  load(options: LoadOptions): LoadReport {
    const rows = rowWriter(new Random(options.seed))
    const { inserts, updates } = ROWS[options.kind]
    let number = (opened().prepare(NEWEST_TRANSACTION_SQL).get() as { transaction: number }).transaction
    const write = opened().transaction((transaction: number, atMs: number) => {
      for (let i = 0; i < inserts; i++) rows.insert(transaction, atMs)
      for (let i = 0; i < updates; i++) rows.update()
    }).immediate
    const acknowledge = acknowledger(options.acknowledgeTo)
    const timesMs: number[] = []
    const checkpoints = { checkpoints: 0, failedCheckpoints: 0, longestCheckpointMs: 0 }
    let failedTransactions = 0
    const beganMs = performance.now()
    let nextCheckpointMs = beganMs + (options.checkpoint?.everyMs ?? Number.POSITIVE_INFINITY)
    const perSecond = options.perSecond ?? WEB_PER_SECOND
    for (let nowMs = beganMs; nowMs < beganMs + options.forMs; nowMs = performance.now()) {
      if (options.kind === 'web') {
        const dueMs = beganMs + (timesMs.length * 1000) / perSecond
        if (dueMs > nowMs) Atomics.wait(sleepers, 0, 0, dueMs - nowMs)
      }
      if (options.kind === 'big' && timesMs.length > 0) Atomics.wait(sleepers, 0, 0, BIG_PAUSE_MS)
      const fromMs = performance.now()
      const atMs = performance.timeOrigin + fromMs
      try {
        write(number + 1, atMs)
        acknowledge(++number, atMs)
      } catch (error) {
        if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
        failedTransactions++
      }
      const toMs = performance.now()
      timesMs.push(toMs - fromMs)
      if (options.checkpoint && toMs >= nextCheckpointMs) {
        const [answer] = opened().pragma(`wal_checkpoint(${options.checkpoint.mode})`) as { busy: number }[]
        const tookMs = performance.now() - toMs
        checkpoints.checkpoints++
        checkpoints.failedCheckpoints += answer?.busy ?? 1
        checkpoints.longestCheckpointMs = Math.max(checkpoints.longestCheckpointMs, tookMs)
        nextCheckpointMs = performance.now() + options.checkpoint.everyMs
      }
    }
    const seconds = (performance.now() - beganMs) / 1000
    const sorted = Float64Array.from(timesMs).sort()
    return {
      transactions: timesMs.length - failedTransactions,
      failedTransactions,
      transactionsPerSecond: (timesMs.length - failedTransactions) / seconds,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      longestMs: sorted.at(-1) ?? 0,
      ...checkpoints,
      lastTransaction: number,
    }
  },

  close() {
    database?.close()
    database = undefined
  },

  /** Small databases, open and with a WAL; resolves with their paths. */
  openMany({ directory, databases }: { directory: string; databases: number }): string[] {
    return Array.from({ length: databases }, (_, i) => {
      const path = `${directory}/app-${i}.db`
      const one = new Database(path, { timeout: 5000 })
      one.pragma('journal_mode = wal')
      one.pragma('synchronous = normal')
      one.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)')
      one.prepare('INSERT INTO item (body) VALUES (?)').run(`the first row of database ${i}`)
      many.push(one)
      return path
    })
  },

  /** One transaction into each. */
  writeEach() {
    for (const one of many) one.prepare('INSERT INTO item (body) VALUES (?)').run('another row')
  },
})

function acknowledger(path: string | undefined): (transaction: number, atMs: number) => void {
  if (path === undefined) return () => {}
  const fd = openSync(path, 'w')
  const bytes = Buffer.alloc(ACKNOWLEDGED_BYTES)
  return (transaction, atMs) => {
    bytes.writeDoubleLE(transaction, 0)
    bytes.writeDoubleLE(atMs, 8)
    writeSync(fd, bytes, 0, ACKNOWLEDGED_BYTES, 0)
  }
}
