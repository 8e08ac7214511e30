// What a process has used, from /proc, and applications that write much.

import { readdirSync, readFileSync } from 'node:fs'
import Database from 'better-sqlite3'

/** The largest resident set so far, in MiB. */
export function peakMib(pid: number): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  if (!peak) throw new Error(`process ${pid} has ended`)
  return Math.round(Number(peak[1]) / 1024)
}

export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const ROW_BYTES = 64 * 1024

/** An application's database whose contents can be told by a sum. */
export class Heavy {
  private readonly database: Database.Database

  constructor(readonly path: string) {
    this.database = new Database(path)
    this.database.pragma('journal_mode = WAL')
    this.database.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)')
  }

  /** One transaction of `mib` of random bytes. */
  insert(mib: number): void {
    this.database
      .prepare(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO rows (body) SELECT randomblob(${ROW_BYTES}) FROM n`,
      )
      .run((mib << 20) / ROW_BYTES)
  }

  /** As `insert`, in transactions of one MiB. */
  insertInPieces(mib: number): void {
    for (let i = 0; i < mib; i++) this.insert(1)
  }

  sum(): string {
    return sumOf(this.database)
  }

  close(): void {
    this.database.close()
  }
}

function sumOf(database: Database.Database): string {
  const row = database
    .prepare(
      'SELECT count(*) AS n, sum(id * unicode(hex(substr(body, 1, 1)))) AS s, max(hex(substr(body, -8))) AS x FROM rows',
    )
    .get() as { n: number; s: number; x: string }
  return `${row.n} ${row.s} ${row.x}`
}

/** The sum of a restored file. */
export function sumIn(path: string): string {
  // Not read-only: a reader would leave `-wal` and `-shm` there.
  const database = new Database(path, { fileMustExist: true })
  try {
    return sumOf(database)
  } finally {
    database.close()
  }
}
