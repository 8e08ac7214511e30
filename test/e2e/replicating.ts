// Helpers of the tests of `litestream replicate`: a database with an application (this process), the real command as the daemon, and
// what its replicas give back.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import { openReplica, type ReplicaTarget } from '../../src/replica/open.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import type { MinioServer } from '../support/minio.js'
import { type CommandOptions, type Finished, type Running, start } from '../support/process.js'
import { distMain, startOurs } from '../support/programs.js'
import { until } from '../support/until.js'

/** An application's database: one table with one row for every commit. */
export class App {
  readonly rows: string[] = []
  private database: Database.Database

  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.database = this.open()
    this.database.exec('CREATE TABLE IF NOT EXISTS commits (name TEXT)')
    onTestFinished(() => this.close())
  }

  /** Commits one row. */
  write(name: string): void {
    this.database.prepare('INSERT INTO commits VALUES (?)').run(name)
    this.rows.push(name)
  }

  /** A checkpoint and one more commit, which begins a new WAL cycle. */
  restartWal(name: string): void {
    this.database.pragma('wal_checkpoint(RESTART)')
    this.write(name)
  }

  neverCheckpoint(): void {
    this.database.pragma('wal_autocheckpoint = 0')
  }

  close(): void {
    this.database.close()
  }

  reopen(): void {
    this.database = this.open()
  }

  private open(): Database.Database {
    const database = new Database(this.path)
    database.pragma('journal_mode = WAL')
    return database
  }
}

/** Killed after the test if it is still there. */
export function endWithTest(running: Running): Running {
  onTestFinished(async () => {
    running.kill('SIGKILL')
    await running.finished
  })
  return running
}

/** Start `replicate`; it is killed after the test if it is still there. Its temporary files go to a directory of their own. */
export async function startReplicate(args: readonly string[], options: CommandOptions = {}): Promise<Running> {
  return endWithTest(await startOurs(['replicate', ...args], options))
}

/** Writes the configuration and starts with it behind other words of a command line, such as `unshare`. */
export async function startThrough(
  words: readonly string[],
  directory: string,
  yaml: string,
  options: CommandOptions = {},
): Promise<Running> {
  const config = join(directory, 'litestream.yml')
  writeFileSync(config, yaml)
  const [file = '', ...rest] = [...words, process.execPath, await distMain(), 'replicate', '-config', config]
  return endWithTest(start(file, rest, options))
}

/** Writes the configuration and starts with it. */
export async function startWithConfig(
  directory: string,
  yaml: string,
  args: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Running> {
  const config = join(directory, 'litestream.yml')
  writeFileSync(config, yaml)
  return await startReplicate(['-config', config, ...args], options)
}

/** The rows that a restore gives, in their order; undefined while there is nothing to restore. */
export async function restoredRows(target: ReplicaTarget, directory: string): Promise<string[] | undefined> {
  // Not beside the database: a directory in which things happen does not count as left alone.
  const outputPath = join(directory, 'restored', `${++restores}.db`)
  mkdirSync(dirname(outputPath), { recursive: true })
  const client = await openReplica(target)
  try {
    const result = await restoreDatabase({
      replicas: [{ name: 'replica', client }],
      outputPath,
      target: { kind: 'latest' },
      integrityCheck: 'full',
      parallelism: 4,
      logger: silentLogger,
      monotonic: () => performance.now(),
    })
    if (!result) return undefined
  } finally {
    await client.close()
  }
  return rowsIn(outputPath)
}

/** The rows of a restored file, which is gone then. */
export function rowsIn(path: string): string[] {
  const database = new Database(path)
  try {
    const rows = database.prepare('SELECT name FROM commits ORDER BY rowid').all() as { name: string }[]
    return rows.map(({ name }) => name)
  } finally {
    database.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  }
}

let restores = 0

/** Resolves when the replica gives back exactly what the application committed. */
export async function untilReplicated(app: App, target: ReplicaTarget, directory: string): Promise<void> {
  await until(async () => (await restoredRows(target, directory))?.join() === app.rows.join(), {
    what: `${app.path} to be in its replica`,
    timeoutMs: 60_000,
    intervalMs: 50,
  })
}

export const fileTarget = (path: string): ReplicaTarget => ({ type: 'file', path })

export function s3Target(minio: MinioServer, bucket: string, path: string): ReplicaTarget {
  const { endpoint, accessKeyId, secretAccessKey } = minio
  return {
    type: 's3',
    bucket,
    path,
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    skipVerify: false,
    accessKeyId,
    secretAccessKey,
  }
}

/** The fields of a replica on MinIO, for a configuration in YAML's flow style. */
export function s3Yaml(minio: MinioServer, bucket: string, path: string, secret = minio.secretAccessKey): string {
  return `type: s3, bucket: ${bucket}, path: ${path}, endpoint: "${minio.endpoint}", region: us-east-1, access-key-id: ${minio.accessKeyId}, secret-access-key: "${secret}"`
}

/** The values of `msg=` in a text log, in their order. */
export function messagesOf(log: string): string[] {
  return [...log.matchAll(/ msg=(?:"([^"]*)"|(\S+))/g)].map(([, quoted, bare]) => quoted ?? bare ?? '')
}

export const linesWith = (log: string, ...parts: string[]): string[] =>
  log.split('\n').filter((line) => parts.every((part) => line.includes(part)))

/** Ends well, with nothing on stderr. */
export function expectGoodEnd({ code, signal, stdout, stderr }: Finished): void {
  expect({ code, signal, stderr }, stdout).toEqual({ code: 0, signal: null, stderr: '' })
}

/** Paths below `directory`, relative to it. */
export function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

export const segmentsIn = (directory: string): string[] =>
  filesBelow(directory).filter((name) => /wal\.lz4$/.test(name))
export const snapshotsIn = (directory: string): string[] =>
  filesBelow(directory).filter((name) => /snapshot\.lz4$/.test(name))

/** Process ids of the living children of `pid`. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}
