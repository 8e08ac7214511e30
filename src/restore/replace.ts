// Puts a restored file in the place of a database that is there, and keeps the old one: everything moves aside under a name with a
// timestamp, nothing is deleted.
//
//   app.db                app.db.replaced-20260115T103000Z
//   app.db-wal            app.db.replaced-20260115T103000Z-wal          (and -shm, -journal: opened under its new name the old
//                                                                        database is complete)
//
// After a crash at any moment the path is either the old database with its own WAL or the new one without a foreign one: SQLite
// would play it in. One rename cannot move two files, so with companions it goes like this. SQLite follows symbolic links and looks
// for the WAL beside the file that they lead to:
//
//   1  link    app.db -> app.db.replaced-T           the old one has two names
//   2  rename  app.db.tmp-… -> app.db.restored-T     the new one, not yet in place
//   3  rename  a symbolic link to it -> app.db       from here on the new one, whose WAL would be app.db.restored-T-wal
//   4  rename  app.db-wal -> app.db.replaced-T-wal   (and the others)
//   5  rename  app.db.restored-T -> app.db           the link becomes the file
//
// Each step is durable before the next. What a crash leaves between them works as it is, and the next -replace tidies it up.

import { link, lstat, readdir, readlink, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { LitestreamError } from '../errors.js'
import { companionsOf } from '../source/users.js'
import { exists, syncDirectory } from './local-files.js'

const RESTORED = /\.restored-(\d{8}T\d{6}Z(?:-\d+)?)$/

export interface ReplacementNames {
  /** Where the database is: resolved, no symbolic link. */
  readonly path: string
  /** Where the old one goes. */
  readonly aside: string
  /** A name of the new one on the way. */
  readonly restored: string
}

export interface Step {
  readonly name: string
  readonly run: () => Promise<void>
}

/** The path of the database to replace, symbolic links resolved. A link that leads nowhere, or anything but a file, is EXISTS. */
export async function resolveReplaced(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return path
  const resolved = await realpath(path).catch(() => undefined)
  if (resolved !== undefined && (await stat(resolved)).isFile()) return resolved
  throw new LitestreamError('EXISTS', `cannot replace ${path}: it is not a file; move it away by hand`)
}

/** Names that nobody has yet, for a database at the resolved `path`. */
export async function replacementNames(path: string, nowMs: number): Promise<ReplacementNames> {
  const moment = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const taken = await readdir(dirname(path))
  for (let attempt = 1; ; attempt++) {
    const stamp = attempt === 1 ? moment : `${moment}-${attempt}`
    const [aside, restored] = [`${path}.replaced-${stamp}`, `${path}.restored-${stamp}`]
    if (taken.some((name) => name.startsWith(basename(aside)) || name.startsWith(basename(restored)))) continue
    return { path, aside, restored }
  }
}

/** What of the old database is there. */
export async function presentFiles(path: string): Promise<{ database: boolean; companions: string[] }> {
  const companions: string[] = []
  for (const file of companionsOf(path)) if (await exists(file)) companions.push(file)
  return { database: await exists(path), companions }
}

/** The steps that put `temporary` in its place, in order; what is there is looked up now. */
export async function replacementSteps(temporary: string, names: ReplacementNames): Promise<Step[]> {
  const { path, aside, restored } = names
  const { database, companions } = await presentFiles(path)
  const durable = async (work: Promise<unknown>): Promise<void> => {
    await work
    await syncDirectory(dirname(path))
  }
  const moveCompanions = companions.map((file) => ({
    name: `move ${file} aside`,
    run: () => durable(rename(file, `${aside}${file.slice(path.length)}`)),
  }))
  const putInPlace = (from: string): Step => ({
    name: 'put the new one in place',
    run: () => durable(rename(from, path)),
  })
  if (!database) return [...moveCompanions, putInPlace(temporary)]
  const keep = { name: 'give the old one a second name', run: () => durable(link(path, aside)) }
  if (companions.length === 0) return [keep, putInPlace(temporary)]
  const signpost = `${restored}-link`
  const lead = async (): Promise<void> => {
    await symlink(basename(restored), signpost)
    await durable(rename(signpost, path))
  }
  return [
    keep,
    { name: 'name the new one', run: () => durable(rename(temporary, restored)) },
    { name: 'lead to the new one', run: lead },
    ...moveCompanions,
    putInPlace(restored),
  ]
}

/** Complete what an interrupted replacement at `path` (not resolved) has left. Nobody may have the database open. */
export async function tidyInterrupted(path: string): Promise<void> {
  const target = await readlink(path).catch(() => undefined)
  const stamp = target === undefined ? undefined : RESTORED.exec(target)?.[1]
  if (target === `${basename(path)}.restored-${stamp}`) {
    const restored = join(dirname(path), target)
    // With a WAL of its own it has been used under that name, and stays there.
    if ((await presentFiles(restored)).companions.length === 0) {
      for (const file of (await presentFiles(path)).companions) {
        await rename(file, `${path}.replaced-${stamp}${file.slice(path.length)}`)
      }
      await rename(restored, path)
    }
  }
  const resolved = await resolveReplaced(path)
  const own = await lstat(resolved).catch(() => undefined)
  if (!own || own.nlink < 2) return
  // The second name was given, and then nothing happened any more: the old database has both names.
  const directory = dirname(resolved)
  for (const name of await readdir(directory)) {
    if (!name.startsWith(`${basename(resolved)}.replaced-`) && !name.startsWith(`${basename(resolved)}.tmp-`)) continue
    const other = await lstat(join(directory, name))
    if (other.ino !== own.ino || other.dev !== own.dev) continue
    // The new one, complete but never led to, is made again.
    const restored = join(directory, name.replace('.replaced-', '.restored-'))
    if (name.includes('.replaced-')) for (const left of [restored, `${restored}-link`]) await rm(left, { force: true })
    await rm(join(directory, name))
  }
}
