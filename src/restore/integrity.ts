// Asks SQLite whether a restored file is sound. Nothing may be created beside the file: opening a database in WAL mode, even for
// reading, makes SQLite create `-wal` and `-shm`. So the two version bytes of the header say "rollback journal" while SQLite looks,
// and get their values back afterwards; neither check reads them.

import type { FileHandle } from 'node:fs/promises'
import { messageOf } from '../errors.js'
import { SqliteConnection } from '../source/sqlite.js'
import { writeAll } from './page-writer.js'

/** `quick` reads every page and checks the structure; `full` also compares every index with its table. */
export type IntegrityCheck = 'none' | 'quick' | 'full'

export type IntegrityVerdict =
  | { readonly sound: true }
  /** `problems` are SQLite's words, a few at most. */
  | { readonly sound: false; readonly problems: readonly string[] }
  /** SQLite could not check it, for a reason that is no damage: the schema needs a function or collation of the application. */
  | { readonly sound: undefined; readonly reason: string }

const VERSION_BYTES_AT = 18
const WAL_MODE = 2
const ROLLBACK_MODE = 1
const PROBLEMS_MAX = 5

/** `file` is open for reading and writing at `path`, and nobody else uses it. Blocks the event loop while SQLite reads. */
export async function checkIntegrity(
  path: string,
  file: FileHandle,
  check: Exclude<IntegrityCheck, 'none'>,
): Promise<IntegrityVerdict> {
  if ((await file.stat()).size === 0) return { sound: true }
  const versions = Buffer.alloc(2)
  await file.read(versions, 0, 2, VERSION_BYTES_AT)
  if (!versions.includes(WAL_MODE)) return ask(path, check)
  await writeAll(file, Buffer.from([ROLLBACK_MODE, ROLLBACK_MODE]), VERSION_BYTES_AT)
  try {
    return ask(path, check)
  } finally {
    await writeAll(file, versions, VERSION_BYTES_AT)
  }
}

function ask(path: string, check: 'quick' | 'full'): IntegrityVerdict {
  let connection: SqliteConnection | undefined
  try {
    connection = new SqliteConnection(path, { readonly: true, timeoutMs: 5000 })
    connection.exec('PRAGMA temp_store = MEMORY')
    const pragma = check === 'quick' ? 'quick_check' : 'integrity_check'
    const rows = connection.rows<Record<string, string>>(`PRAGMA ${pragma}(${PROBLEMS_MAX})`)
    const problems = rows.map((row) => String(Object.values(row)[0]))
    return problems.length === 1 && problems[0] === 'ok' ? { sound: true } : { sound: false, problems }
  } catch (error) {
    const code = (error as { code?: string }).code ?? ''
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return { sound: false, problems: [messageOf(error)] }
    if (code === 'SQLITE_ERROR') return { sound: undefined, reason: messageOf(error) }
    throw error
  } finally {
    connection?.close()
  }
}
