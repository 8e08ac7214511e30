// The file that a restore makes: a temporary one beside its final place, which appears there whole or not at all.
//
// Nothing is ever overwritten: an existing file at the place, or a journal or WAL of a database that used to be there (SQLite
// would play it into the new one), is EXISTS. Whatever goes wrong, `discard` leaves the directories as they were.
//
// Owner and mode, so that the application can use the file:
// - root gives it the owner and group of its directory; anyone else keeps their own.
// - Mode: read and write for the owner; for the group what the directory grants the group, for others reading if the directory
//   grants it: 0755 gives 0644, 0770 gives 0660, 0700 gives 0600. Others never write.
// - A directory with the sticky bit (/tmp) says nothing about either: 0600 and the caller's own.
// - Directories that are missing are made with mode 0700, as the original does, and root gives them the owner of the one above.

import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chown, constants, type FileHandle, lstat, mkdir, open, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'

const STICKY = 0o1000

export class OutputFile {
  private constructor(
    readonly path: string,
    readonly temporaryPath: string,
    readonly file: FileHandle,
    private readonly createdDirectories: readonly string[],
  ) {}

  /** Checks the place, makes missing directories and opens the temporary file for reading and writing. */
  static async create(path: string): Promise<OutputFile> {
    await refuseExisting(path)
    const directory = dirname(path)
    const created: string[] = []
    try {
      await makeDirectories(directory, created)
      const temporaryPath = `${path}.tmp-${randomBytes(4).toString('hex')}`
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
      return new OutputFile(path, temporaryPath, await open(temporaryPath, flags, 0o600), created)
    } catch (error) {
      await removeDirectories(created)
      throw localError(error, `cannot restore into ${directory}`, 'choose another output path or make it writable')
    }
  }

  /** Begin again with an empty file. */
  async clear(): Promise<void> {
    await this.file.truncate(0)
  }

  /** Make it durable and put it in its place. */
  async publish(logger: Logger): Promise<void> {
    const { file, path, temporaryPath } = this
    const directory = dirname(path)
    await this.adopt(await stat(directory), logger)
    await file.sync()
    await file.close()
    await refuseExisting(path)
    await rename(temporaryPath, path)
    await syncDirectory(directory)
  }

  /** Remove every trace. Does nothing after `publish` has succeeded. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => {})
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${this.temporaryPath}${suffix}`, { force: true })
    await removeDirectories(this.createdDirectories)
  }

  private async adopt(directory: Stats, logger: Logger): Promise<void> {
    if (directory.mode & STICKY) return
    await this.file.chmod(databaseMode(directory.mode))
    if (process.geteuid?.() !== 0) return
    await this.file.chown(directory.uid, directory.gid).catch((error: unknown) => {
      logger.warn('cannot give the database to the owner of its directory', { path: this.path, error })
    })
  }
}

/** The mode of a database in a directory with this mode. */
export function databaseMode(directoryMode: number): number {
  return 0o600 | (directoryMode & 0o064)
}

/** EXISTS when a database, or what one has left behind, is at `path`. */
async function refuseExisting(path: string): Promise<void> {
  if (await exists(path)) throw new LitestreamError('EXISTS', `cannot restore, output path already exists: ${path}`)
  for (const suffix of ['-wal', '-shm', '-journal']) {
    if (!(await exists(`${path}${suffix}`))) continue
    const text = `cannot restore, ${path}${suffix} was left behind by another database and would damage the restored one`
    throw new LitestreamError('EXISTS', `${text}; move it away or delete it`)
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw localError(error, `cannot look at ${path}`, 'check the permissions of its directory')
  }
}

async function makeDirectories(directory: string, created: string[]): Promise<void> {
  const missing: string[] = []
  let above = directory
  while (!(await exists(above))) {
    missing.unshift(above)
    above = dirname(above)
  }
  const { uid, gid, mode } = await stat(above)
  for (const path of missing) {
    await mkdir(path, { mode: 0o700 })
    created.push(path)
    if (process.geteuid?.() === 0 && !(mode & STICKY)) await chown(path, uid, gid).catch(() => {})
  }
}

async function removeDirectories(created: readonly string[]): Promise<void> {
  // Someone else may have put something into them meanwhile; then they stay.
  for (const path of created.toReversed()) await rmdir(path).catch(() => {})
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some file systems cannot sync a directory; the rename has happened all the same.
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** An error of the file system as one of ours; one that is ours already stays. */
export function localError(error: unknown, what: string, advice: string): unknown {
  if (error instanceof LitestreamError || (error as NodeJS.ErrnoException).code === undefined) return error
  return new LitestreamError('LOCAL', `${what}: ${messageOf(error)}; ${advice}`, { cause: error })
}
