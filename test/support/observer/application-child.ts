// An application as a process: opens a database in WAL mode, writes transactions of several patterns, checkpoints as it is told.
// Every transaction leaves the row of table `total` in step with the others, so that a mixture of two commits is recognised.

import { writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { serve } from './serve.js'

export interface ApplicationOptions {
  readonly path: string
  readonly autoCheckpoint?: number
  readonly synchronous?: 'off' | 'normal' | 'full'
  readonly busyTimeoutMs?: number
  readonly exclusive?: boolean
  readonly pageSize?: number
}

export interface LoadOptions {
  readonly forMs: number
  /** Between two transactions; 0: as fast as they go. */
  readonly paceMs: number
  /** `rows`: ten rows of 300 bytes, written over in rounds. `updates`: ten random rows of 400 bytes. `vacuum`: rows, and now and then a VACUUM after many were deleted. */
  readonly pattern: 'rows' | 'updates' | 'vacuum'
  readonly checkpoint?: 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE' | undefined
  readonly checkpointEveryMs?: number
}

export interface LoadReport {
  readonly transactions: number
  readonly longestCommitMs: number
  readonly checkpoints: number
  readonly busyCheckpoints: number
  readonly longestCheckpointMs: number
}

const ROUND_ROWS = 20_000
const UPDATE_ROWS = 5_000

let database: Database.Database | undefined
let stopLoad = false

const opened = (): Database.Database => {
  if (!database) throw new Error('not open')
  return database
}

const random = (below: number) => Math.floor(Math.random() * below)

function transactionOf(pattern: LoadOptions['pattern']): () => void {
  const db = opened()
  if (pattern === 'updates') {
    const have = db.prepare('select count(*) from u').pluck().get() as number
    const fill = db.prepare('insert into u(id, b) values(?, randomblob(400))')
    if (have < UPDATE_ROWS) db.transaction(() => Array.from({ length: UPDATE_ROWS }, (_, i) => fill.run(i)))()
    const update = db.prepare('update u set b = randomblob(400) where id = ?')
    return db.transaction(() => {
      for (let i = 0; i < 10; i++) update.run(random(UPDATE_ROWS))
    })
  }
  // Ten rows carry the number of their transaction, see isCommit in scene.ts.
  const replace = db.prepare('replace into t(id, stamp, b) values(?, ?, zeroblob(300))')
  const count = db.prepare('update total set commits = commits + 1 returning commits').pluck()
  const rows = db.transaction(() => {
    const stamp = count.get() as number
    for (let i = 0; i < 10; i++) replace.run((stamp * 10 + i) % ROUND_ROWS, stamp)
  })
  if (pattern === 'rows') return rows
  const forget = db.transaction(() => {
    db.prepare('delete from t where id / 10 % 3 = ?').run(random(3))
    const stamp = count.get() as number
    for (let i = 0; i < 10; i++) replace.run((stamp * 10 + i) % ROUND_ROWS, stamp)
  })
  let n = 0
  return () => {
    n++
    if (n % 50 === 0) forget()
    else if (n % 101 === 0) db.exec('vacuum')
    else rows()
  }
}

serve({
  open(options: ApplicationOptions) {
    database = new Database(options.path, { timeout: options.busyTimeoutMs ?? 5000 })
    if (options.pageSize) database.pragma(`page_size = ${options.pageSize}`)
    if (options.exclusive) database.pragma('locking_mode = exclusive')
    database.pragma('journal_mode = wal')
    database.pragma(`synchronous = ${options.synchronous ?? 'normal'}`)
    database.pragma(`wal_autocheckpoint = ${options.autoCheckpoint ?? 1000}`)
    database.exec(
      `create table if not exists t(id integer primary key, stamp integer, b blob);
       create table if not exists u(id integer primary key, b blob);
       create table if not exists total(id integer primary key check(id = 1), commits integer);
       insert or ignore into total values(1, 0)`,
    )
  },

  load(options: LoadOptions): Promise<LoadReport> {
    const db = opened()
    const transaction = transactionOf(options.pattern)
    const report = { transactions: 0, longestCommitMs: 0, checkpoints: 0, busyCheckpoints: 0, longestCheckpointMs: 0 }
    const endMs = performance.now() + options.forMs
    let checkpointMs = performance.now()
    stopLoad = false
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          const beganMs = performance.now()
          transaction()
          report.transactions++
          const committedMs = performance.now()
          report.longestCommitMs = Math.max(report.longestCommitMs, committedMs - beganMs)
          if (options.checkpoint && committedMs - checkpointMs > (options.checkpointEveryMs ?? 0)) {
            const [result] = db.pragma(`wal_checkpoint(${options.checkpoint})`) as { busy: number }[]
            report.checkpoints++
            report.busyCheckpoints += result?.busy ?? 0
            checkpointMs = performance.now()
            report.longestCheckpointMs = Math.max(report.longestCheckpointMs, checkpointMs - committedMs)
          }
          if (stopLoad || performance.now() >= endMs) resolve(report)
          else if (options.paceMs > 0) setTimeout(step, options.paceMs)
          else setImmediate(step)
        } catch (error) {
          reject(error)
        }
      }
      step()
    })
  },

  nowStopLoad() {
    stopLoad = true
  },

  run: (sql: string) => void opened().exec(sql),
  pragma: (sql: string) => opened().pragma(sql),
  get: (sql: string) => opened().prepare(sql).pluck().get(),

  /** The database as SQLite itself sees it. */
  save: (file: string) => void writeFileSync(file, opened().serialize()),

  close() {
    database?.close()
    database = undefined
  },
})
