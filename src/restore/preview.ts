// What a restore would do, without writing anything, not even a lock: which objects it would fetch, how much that is, which moment
// they lead to, and what stands in the way at the place where the result belongs.
//
// A database that is in use is found here only as far as /proc tells; the restore itself asks SQLite's locks as well.

import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'
import type { RestoreTarget } from '../model/target.js'
import type { RestorePlan } from '../plan/restore-plan.js'
import { findUsers, nameUsers } from '../source/users.js'
import { exists } from './local-files.js'
import { type OutputOptions, refuseExisting } from './output.js'
import { presentFiles, resolveReplaced } from './replace.js'
import { type NamedReplica, selectReplica } from './select.js'

export interface PreviewOptions {
  readonly replicas: readonly NamedReplica[]
  readonly outputPath: string
  readonly output?: OutputOptions | undefined
  readonly target: RestoreTarget
  readonly generation?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RestorePreview {
  readonly replica: string
  /** `s3://bucket/path`, `file:///path`. */
  readonly url: string
  readonly plan: RestorePlan
  /** Size of the restored database; undefined for replicas that do not tell before they are read. */
  readonly databaseBytes: number | undefined
  /** Files that would be moved aside. */
  readonly replaces: readonly string[]
  readonly obstacles: readonly string[]
}

/** Stored (compressed) bytes that the plan fetches. */
export function bytesOf({ snapshot, segments }: RestorePlan): number {
  return segments.reduce((sum, { size }) => sum + size, snapshot.size)
}

/** Undefined when no replica holds any backup. Rejects as the restore would where nothing fits the target. */
export async function previewRestore(options: PreviewOptions): Promise<RestorePreview | undefined> {
  const { usable } = await selectReplica(options.replicas, options.target, options.generation, options.signal)
  const chosen = usable[0]
  if (!chosen) return undefined
  const { plan, replica } = chosen
  const newest = await replica.provenance.read(plan.segments.at(-1) ?? plan.snapshot)
  const databaseBytes = newest && newest.pageSize * newest.pageCount
  const { obstacles, replaces } = await lookAtPlace(options.outputPath, options.output, databaseBytes)
  return { replica: replica.name, url: replica.client.url, plan, databaseBytes, obstacles, replaces }
}

async function lookAtPlace(configuredPath: string, output: OutputOptions | undefined, databaseBytes = 0) {
  const obstacles: string[] = []
  let replaces: string[] = []
  let path = configuredPath
  try {
    if (output?.replaceAtMs === undefined) await refuseExisting(path)
    else {
      path = await resolveReplaced(path)
      const { database, companions } = await presentFiles(path)
      replaces = [...(database ? [path] : []), ...companions]
      const users = findUsers(path, process.pid)
      if (users.length > 0) obstacles.push(`${path} is open in ${nameUsers(users)}`)
    }
  } catch (error) {
    if (!(error instanceof LitestreamError)) throw error
    obstacles.push(error.message)
  }
  let directory = dirname(path)
  while (!(await exists(directory))) directory = dirname(directory)
  if (!(await stat(directory)).isDirectory()) obstacles.push(`${directory} is not a directory`)
  else obstacles.push(...(await lookAtDirectory(directory, databaseBytes)))
  return { obstacles, replaces }
}

async function lookAtDirectory(directory: string, databaseBytes: number): Promise<string[]> {
  const obstacles: string[] = []
  try {
    await access(directory, constants.W_OK | constants.X_OK)
  } catch (error) {
    obstacles.push(`${directory} cannot be written: ${messageOf(error)}`)
  }
  const { bavail, bsize } = await statfs(directory)
  if (bavail * bsize < databaseBytes) {
    obstacles.push(`${directory} has ${bavail * bsize} bytes free, the database needs ${databaseBytes}`)
  }
  return obstacles
}
