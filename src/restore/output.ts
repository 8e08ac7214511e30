// The file that a restore makes: a temporary one beside its final place, which appears there whole or not at all.
//
// Nothing is ever overwritten: an existing file at the place, or a journal or WAL of a database that used to be there (SQLite
// would play it into the new one), is EXISTS. With `replace` they are moved aside (see replace), unless somebody has the database
// open. Whatever goes wrong, `discard` leaves the directories as they were.
//
// Owner and mode, so that the application can use the file:
// - They are the replaced file's, where one is replaced.
// - Else root gives it the owner and group of its directory, or those it was told; anyone else keeps their own.
// - Mode: read and write for the owner; for the group what the directory grants the group, for others reading if the directory
//   grants it: 0755 gives 0644, 0770 gives 0660, 0700 gives 0600. Others never write.
// - A directory with the sticky bit (/tmp) says nothing about either: 0600 and the caller's own.
// - Directories that are missing are made with mode 0700, as the original does, and root gives them the owner of the one above.
// - A directory that was empty, as a new volume is, goes to an owner that was told, too: SQLite has to make files in it.

import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chown, constants, type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LitestreamError } from '../errors.js'
import type { Logger } from '../logger.js'
import { companionsOf } from '../source/users.js'
import { refuseInUse } from './in-use.js'
import { exists, localError, syncDirectory } from './local-files.js'
import { presentFiles, replacementNames, replacementSteps, resolveReplaced, tidyInterrupted } from './replace.js'

const STICKY = 0o1000

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface OutputOptions {
  /** Move a database that is there aside, under a name with this moment. */
  readonly replaceAtMs?: number | undefined
  readonly owner?: Owner | undefined
}

export class OutputFile {
  /** Where the replaced database went; known after `publish`. */
  replacedAs: string | undefined

  private constructor(
    readonly path: string,
    readonly temporaryPath: string,
    readonly file: FileHandle,
    private readonly createdDirectories: readonly string[],
    private readonly options: OutputOptions,
  ) {}

  /** Checks the place, makes missing directories and opens the temporary file for reading and writing. */
  static async create(configuredPath: string, options: OutputOptions = {}): Promise<OutputFile> {
    const replace = options.replaceAtMs !== undefined
    const path = replace ? await prepareReplacement(configuredPath) : configuredPath
    if (!replace) await refuseExisting(path)
    const directory = dirname(path)
    const created: string[] = []
    try {
      await makeDirectories(directory, created, options.owner)
      const temporaryPath = temporaryName(path)
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
      return new OutputFile(path, temporaryPath, await open(temporaryPath, flags, 0o600), created, options)
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
    await this.adopt(logger)
    await file.sync()
    await file.close()
    if (this.options.replaceAtMs === undefined) {
      await refuseExisting(path)
      await rename(temporaryPath, path)
      await syncDirectory(directory)
    } else await this.replace(this.options.replaceAtMs, logger)
  }

  /** Remove every trace. Does nothing after `publish` has succeeded. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => {})
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${this.temporaryPath}${suffix}`, { force: true })
    await removeDirectories(this.createdDirectories)
  }

  private async replace(nowMs: number, logger: Logger): Promise<void> {
    const { path } = this
    const { database, companions } = await presentFiles(path)
    if (database) await refuseInUse(path, temporaryName(path))
    const names = await replacementNames(path, nowMs)
    const steps = await replacementSteps(this.temporaryPath, names)
    try {
      for (const { run } of steps) await run()
    } catch (error) {
      await tidyInterrupted(path).catch(() => {})
      throw error
    }
    if (!database && companions.length === 0) return
    this.replacedAs = names.aside
    logger.info('moved the old database aside', { path, to: names.aside })
  }

  private async adopt(logger: Logger): Promise<void> {
    const { path, options } = this
    const replaced = options.replaceAtMs === undefined ? undefined : await stat(path).catch(() => undefined)
    const directory = await stat(dirname(path))
    if (replaced) await this.file.chmod(replaced.mode & 0o7777)
    else if (!(directory.mode & STICKY)) await this.file.chmod(databaseMode(directory.mode))
    if (process.geteuid?.() !== 0) return
    const owner = options.owner ?? replaced ?? (directory.mode & STICKY ? undefined : directory)
    if (!owner) return
    await this.file.chown(owner.uid, owner.gid).catch((error: unknown) => {
      logger.warn('cannot give the database to its owner', { path, uid: owner.uid, gid: owner.gid, error })
    })
    if (options.owner) await this.adoptEmptyDirectory(directory, options.owner, logger)
  }

  private async adoptEmptyDirectory(before: Stats, { uid, gid }: Owner, logger: Logger): Promise<void> {
    const directory = dirname(this.path)
    if (before.mode & STICKY || before.uid === uid || before.uid !== 0) return
    if ((await readdir(directory)).some((name) => !this.temporaryPath.endsWith(`/${name}`))) return
    await chown(directory, uid, gid)
    logger.info('gave the empty directory to the owner of the database', { path: directory, uid, gid })
  }
}

const temporaryName = (path: string): string => `${path}.tmp-${randomBytes(4).toString('hex')}`

/** The mode of a database in a directory with this mode. */
export function databaseMode(directoryMode: number): number {
  return 0o600 | (directoryMode & 0o064)
}

/** Refuses what is in use, tidies up what an earlier attempt has left, and gives the path that the database really has. */
async function prepareReplacement(configuredPath: string): Promise<string> {
  const first = await resolveReplaced(configuredPath)
  if (await exists(first)) await refuseInUse(first, temporaryName(first))
  await tidyInterrupted(configuredPath)
  return resolveReplaced(configuredPath)
}

/** EXISTS when a database, or what one has left behind, is at `path`. */
export async function refuseExisting(path: string): Promise<void> {
  if (await exists(path)) {
    const advice = 'with -replace it is moved aside and kept'
    throw new LitestreamError('EXISTS', `cannot restore, output path already exists: ${path} (${advice})`)
  }
  for (const companion of companionsOf(path)) {
    if (!(await exists(companion))) continue
    const text = `cannot restore, ${companion} was left behind by another database and would damage the restored one`
    throw new LitestreamError('EXISTS', `${text}; move it away or delete it, or let -replace move it aside`)
  }
}

async function makeDirectories(directory: string, created: string[], told: Owner | undefined): Promise<void> {
  const missing: string[] = []
  let above = directory
  while (!(await exists(above))) {
    missing.unshift(above)
    above = dirname(above)
  }
  const found = await stat(above)
  const owner = told ?? found
  for (const path of missing) {
    await mkdir(path, { mode: 0o700 })
    created.push(path)
    if (process.geteuid?.() === 0 && (told || !(found.mode & STICKY)))
      await chown(path, owner.uid, owner.gid).catch(() => {})
  }
}

async function removeDirectories(created: readonly string[]): Promise<void> {
  // Someone else may have put something into them meanwhile; then they stay.
  for (const path of created.toReversed()) await rmdir(path).catch(() => {})
}
