// Whether a database can be observed from here, and what an operator should know about it. Reads only: no connection of SQLite is
// opened, nothing on the database's volume is created or written.

import { constants, statSync } from 'node:fs'
import { access, lstat, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../errors.js'
import { databaseMode } from '../restore/output.js'
import { DatabaseFiles } from '../source/files.js'
import { findUsers, nameUsers } from '../source/users.js'
import { parseWalHeader, WAL_HEADER_BYTES } from '../sqlite/wal-format.js'
import { bytesText, type Finding, Findings } from './finding.js'

/** A WAL of this size did not have a chance to restart for a while. */
const WAL_BYTES_LARGE = 64 * 2 ** 20
const DAEMON = /litestream(\/dist)?(\/cli)?(\/main\.js)?['"]? replicate|\bmain\.js replicate\b/

export async function checkDatabase(path: string): Promise<Finding[]> {
  const found = new Findings()
  const resolved = await resolve(path, found)
  if (resolved === undefined) return found.list
  await checkPlace(resolved, found)
  const files = DatabaseFiles.open(path)
  if ('reason' in files) {
    if (files.missing)
      found.warn('exists', files.reason, 'nothing to do if the application makes it later; else correct "path"')
    else found.error('readable', files.reason, 'correct this first: nothing of this database is replicated')
    return found.list
  }
  try {
    found.ok('readable', `${bytesText(files.databaseBytes())}`)
    checkFormat(files, found)
  } catch (error) {
    found.error('readable', messageOf(error), 'let the user of this process read the database, its -wal and its -shm')
  } finally {
    await files.close()
  }
  checkUsers(resolved, found)
  await checkOwner(resolved, found)
  return found.list
}

/** Undefined when there is nothing to look at. */
async function resolve(path: string, found: Findings): Promise<string | undefined> {
  const resolved = await realpath(path).catch((error: NodeJS.ErrnoException) => error)
  if (typeof resolved === 'string') {
    const link = await lstat(path)
    if (link.isSymbolicLink()) {
      const next = `mount ${dirname(resolved)} too, and name ${resolved} in the configuration`
      found.warn('symbolic-link', `${path} leads to ${resolved}, and the -wal lies there`, next)
    }
    return resolved
  }
  const directory = dirname(path)
  const above = await stat(directory).catch(() => undefined)
  if (resolved.code !== 'ENOENT') {
    found.error('readable', messageOf(resolved), 'let the user of this process search the directories above')
  } else if (!above) {
    found.error(
      'exists',
      `there is no directory ${directory}`,
      'mount the volume of the database there, or correct "path"',
    )
  } else {
    const next = 'nothing to do if the application makes it later; else check the mount and correct "path"'
    found.warn('exists', 'there is no database yet; replicate waits for it', next)
  }
  return undefined
}

async function checkPlace(path: string, found: Findings): Promise<void> {
  try {
    await access(dirname(path), constants.W_OK)
    found.ok('volume', 'writable from here; read-only (":ro") is enough for replicate')
  } catch (error) {
    const readOnly = (error as NodeJS.ErrnoException).code === 'EROFS'
    const what = readOnly ? 'mounted read-only' : 'not writable for this user'
    found.ok('volume', `${what}: enough for replicate; restore needs it writable`)
  }
}

function checkFormat(files: DatabaseFiles, found: Findings): void {
  const { header, size } = files.header()
  if (size === 0) {
    found.warn('format', 'the file is empty', 'nothing to do if the application fills it later; else correct "path"')
    return
  }
  if (!header) {
    found.error('format', 'not a SQLite database', 'correct "path"; encrypted databases cannot be replicated')
    return
  }
  if (!header.walMode) {
    found.error(
      'wal-mode',
      'the database is not in WAL mode: nothing of it is replicated',
      'run once: PRAGMA journal_mode = WAL',
    )
    return
  }
  found.ok('wal-mode', `pages of ${header.pageSize} bytes`)
  checkWal(files, found)
}

function checkWal(files: DatabaseFiles, found: Findings): void {
  const { wal, walBytes, shm, journal } = files.companions()
  if (journal) {
    found.error(
      'journal',
      'a rollback journal lies beside it',
      'start the application once: SQLite has to recover the database',
    )
  }
  if (!walBytes) {
    found.ok('wal', `${wal ? 'an empty' : 'no'} -wal: ${wal ? 'checkpointed' : 'closed cleanly, or not opened yet'}`)
    return
  }
  if (!shm) {
    const message = 'the -wal holds changes and there is no -shm: the application died, or uses locking_mode EXCLUSIVE'
    found.warn('wal', message, 'start the application; only its recovery decides what in the -wal is committed')
    return
  }
  if (!files.openLive()) return
  const bytes = Buffer.alloc(WAL_HEADER_BYTES)
  files.readWal(bytes, bytes.length, 0)
  const restarts = parseWalHeader(bytes)?.checkpointSequence ?? 0
  const index = files.walIndex()
  const { size } = statSync(files.walPath)
  const used = index
    ? `${index.mxFrame} frames, ${index.backfilled} of them in the database`
    : 'wal-index not readable now'
  const text = `${bytesText(size)}, restarted ${restarts} times; ${used}`
  const waiting = index === undefined || index.backfilled < index.mxFrame
  if (size < WAL_BYTES_LARGE || (!waiting && restarts > 0)) {
    found.ok('auto-checkpoint', text)
    return
  }
  const next =
    'look for a reader that never ends, or for wal_autocheckpoint = 0 in the application; allow-checkpoint can run them here'
  found.warn('auto-checkpoint', `the WAL is large and does not restart: ${text}`, next)
}

function checkUsers(path: string, found: Findings): void {
  const users = findUsers(path, process.pid)
  if (users.length === 0) {
    found.ok('users', 'nobody has it open who could be seen from here (another container cannot)')
    return
  }
  found.ok('users', `open in ${nameUsers(users)}`)
  const daemons = users.filter(({ command }) => DAEMON.test(command))
  if (daemons.length > 1) {
    found.error('daemons', `${daemons.length} daemons replicate it: ${nameUsers(daemons)}`, 'stop all but one')
  }
}

/** Whether a restore by this user could give the file to the one who needs it. */
async function checkOwner(path: string, found: Findings): Promise<void> {
  const [file, directory] = [await stat(path), await stat(dirname(path))]
  const self = process.geteuid?.()
  if (self === 0) {
    const mode = (file.mode & 0o777).toString(8).padStart(4, '0')
    found.ok('owner-on-restore', `with -replace as now: ${file.uid}:${file.gid}, mode ${mode}`)
    if (directory.uid === file.uid) return
    const made = `${directory.uid}:${directory.gid}, mode ${databaseMode(directory.mode).toString(8).padStart(4, '0')}`
    const next = `restore into an empty volume with -owner ${file.uid}:${file.gid}`
    found.warn(
      'owner-on-restore',
      `its directory is ${directory.uid}'s: a restore without the old file makes it ${made}`,
      next,
    )
  } else if (file.uid === self) found.ok('owner-on-restore', `this user (${self}) owns it`)
  else {
    const next = `restore as root or as user ${file.uid} (docker run --user ${file.uid}:${file.gid})`
    found.warn('owner-on-restore', `a restore by this user makes it ${self}'s, now it is ${file.uid}'s`, next)
  }
}
