// Refuses to replace a database that somebody has open. /proc names processes, but only those that this one may see: not those of
// another container. So SQLite's own locks are asked too: a connection in WAL mode holds a shared lock on the database file as long
// as it is open, and an exclusive one is refused while it does.
//
// The old database must not be written for that, and SQLite must not play a WAL or a journal into it. So the question is put
// through a second name of the file (a hard link, gone again at once): under that name there is no WAL and no journal. What is left
// unseen: a connection of another container that is in rollback-journal mode and between two transactions.

import { link, rm } from 'node:fs/promises'
import { LitestreamError } from '../errors.js'
import { SqliteConnection } from '../source/sqlite.js'
import { findUsers, nameUsers } from '../source/users.js'
import { localError } from './local-files.js'

const ADVICE = 'stop the application, and litestream where it replicates this database, then restore again'

/** EXISTS when the database at the resolved `path` is in use. `alias` is a free name in the same directory. */
export async function refuseInUse(path: string, alias: string, pid = process.pid): Promise<void> {
  const users = findUsers(path, pid)
  if (users.length > 0) {
    throw new LitestreamError('EXISTS', `cannot replace ${path}: it is open in ${nameUsers(users)}; ${ADVICE}`)
  }
  if (!(await isLocked(path, alias))) return
  const who = 'a process that cannot be seen from here, in another container perhaps, has it open'
  throw new LitestreamError('EXISTS', `cannot replace ${path}: ${who}; ${ADVICE}`)
}

async function isLocked(path: string, alias: string): Promise<boolean> {
  let connection: SqliteConnection | undefined
  try {
    await link(path, alias)
    connection = new SqliteConnection(alias, { readonly: false, timeoutMs: 0 })
    connection.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK')
    return false
  } catch (error) {
    const code = (error as { code?: string }).code ?? ''
    // Whatever else SQLite finds wrong with the old database is no reason against replacing it.
    if (code.startsWith('SQLITE_')) return /^SQLITE_(BUSY|LOCKED)/.test(code)
    throw localError(error, `cannot replace ${path}`, 'move the old files away by hand and restore without -replace')
  } finally {
    connection?.close()
    for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${alias}${suffix}`, { force: true })
  }
}
