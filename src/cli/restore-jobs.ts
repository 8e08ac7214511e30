// From the words behind `litestream restore` to what is to be restored: one job for each database, in the order of the
// configuration.

import { resolve } from 'node:path'
import { findDatabase, loadConfig, replicaFromUrl, secretsOf } from '../config/load.js'
import { isUrl } from '../config/paths.js'
import type { DatabaseConfig, LoggingConfig, ReplicaConfig } from '../config/types.js'
import { LitestreamError } from '../errors.js'
import { loadOptions, usage } from './args.js'
import type { CommandIo } from './io.js'

export interface RestoreJob {
  /** Absent when a replica's URL was given. */
  readonly database: string | undefined
  readonly outputPath: string
  readonly replicas: readonly ReplicaConfig[]
  /** Why it cannot even begin. */
  readonly problem?: LitestreamError | undefined
}

export interface RestoreRequest {
  readonly jobs: readonly RestoreJob[]
  readonly logging: LoggingConfig
  readonly secrets: readonly string[]
}

interface JobFlags {
  readonly config: string
  readonly 'no-expand-env': boolean
  readonly o: string
  readonly replica: string
  readonly generation: string
  readonly index: number | undefined
  readonly all: boolean
}

export async function restoreJobs(
  operands: readonly string[],
  flags: JobFlags,
  io: CommandIo,
): Promise<RestoreRequest> {
  if (flags.all) return all(operands, flags, io)
  const [operand] = operands
  if (operand === undefined || operand === '') throw usage('database path or replica URL required')
  if (operands.length > 1) throw usage('too many arguments')
  if (isUrl(operand)) return fromUrl(operand, flags, io)
  const config = await load(flags, io)
  const job = jobOf(findDatabase(config, operand, io), flags, io)
  if (job.problem) throw job.problem
  return { jobs: [job], logging: config.logging, secrets: secretsOf(config) }
}

async function all(operands: readonly string[], flags: JobFlags, io: CommandIo): Promise<RestoreRequest> {
  if (operands.length > 0) throw usage('-all restores every database of the configuration; name none')
  if (flags.o !== '') throw usage('-all restores each database to its own path; it cannot be combined with -o')
  if (flags.generation !== '' || flags.index !== undefined) {
    throw usage('-generation and -index are of one database; with -all use -timestamp')
  }
  const config = await load(flags, io)
  if (config.databases.length === 0) throw new LitestreamError('CONFIG', 'no databases specified in configuration')
  const jobs = config.databases.map((database) => jobOf(database, flags, io))
  return { jobs, logging: config.logging, secrets: secretsOf(config) }
}

const load = (flags: JobFlags, io: CommandIo) => loadConfig(loadOptions(flags, io))

function jobOf(database: DatabaseConfig, flags: JobFlags, io: CommandIo): RestoreJob {
  const replicas = database.replicas.filter(({ name }) => flags.replica === '' || name === flags.replica)
  const outputPath = flags.o === '' ? database.path : resolve(io.cwd, flags.o)
  const missing = replicas.length === 0 && flags.replica !== ''
  const text = `replica "${flags.replica}" not found for database "${database.path}"`
  const problem = missing ? new LitestreamError('NOT_FOUND', text) : undefined
  return { database: database.path, outputPath, replicas, problem }
}

function fromUrl(url: string, flags: JobFlags, io: CommandIo): RestoreRequest {
  if (flags.config !== '') throw usage('cannot specify a replica URL and the -config flag')
  if (flags.o === '') throw usage('output path required')
  const replica = replicaFromUrl(url, io)
  const logging = { level: 'info', type: 'text', stderr: true } as const
  const secrets = replica.type === 's3' ? [replica.secretAccessKey] : []
  const outputPath = resolve(io.cwd, flags.o)
  return { jobs: [{ database: undefined, outputPath, replicas: [replica] }], logging, secrets }
}
