// `litestream restore`: brings a database back from a replica of the configuration, or from a replica's URL. The checks come in the
// original's order, so that `-if-db-not-exists` and `-if-replica-exists` mean to scripts what they always did:
//
//   the words of the command line; the configuration; `-if-db-not-exists` (nothing remote is asked); what the replicas hold;
//   `-if-replica-exists`; the output path.
//
// Other than the original: log lines go to stderr; `-index` together with `-timestamp` and an unknown `-replica` are errors at
// once, because with `-if-replica-exists` they would pass for "nothing to restore".

import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { systemClock } from '../../clock.js'
import { findDatabase, loadConfig, replicaFromUrl, secretsOf } from '../../config/load.js'
import { isUrl } from '../../config/paths.js'
import type { LoggingConfig, ReplicaConfig } from '../../config/types.js'
import { LitestreamError } from '../../errors.js'
import type { Logger } from '../../logger.js'
import { isGeneration } from '../../model/layout.js'
import { parseRfc3339, type RestoreTarget } from '../../model/target.js'
import { openReplica } from '../../replica/open.js'
import { restoreDatabase } from '../../restore/restore.js'
import type { NamedReplica } from '../../restore/select.js'
import {
  booleanFlag,
  choiceFlag,
  commonFlags,
  type FlagValues,
  hexIndexFlag,
  integerFlag,
  parseCommandLine,
  stringFlag,
  usage,
} from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { createLineLogger } from '../io-logger.js'
import { ProgressLine } from '../progress.js'
import { formatUsage } from '../usage.js'

const FLAGS = {
  ...commonFlags,
  o: stringFlag(),
  replica: stringFlag(),
  generation: stringFlag(),
  index: hexIndexFlag(),
  timestamp: stringFlag(),
  parallelism: integerFlag(8),
  'if-db-not-exists': booleanFlag(),
  'if-replica-exists': booleanFlag(),
  'integrity-check': choiceFlag(['none', 'quick', 'full'], 'quick'),
}

const USAGE = {
  forms: ['restore [flags] DB_PATH', 'restore [flags] -o PATH REPLICA_URL'],
  about: 'restore brings a database back from a replica, as it was last replicated or at a point in time.',
  flags: [
    ['-o PATH', 'Restore to this path instead of the path of the database. Needed with a URL.'],
    ['-replica NAME', 'Only from this replica. Default: the one with the newest state.'],
    ['-generation NAME', 'Only from this generation. Default: the newest one.'],
    ['-index HEX', 'Up to the end of this index (hexadecimal).'],
    ['-timestamp TIME', 'The last state seen by this moment, RFC 3339: 2000-01-01T00:00:00Z.'],
    ['-parallelism N', 'Objects fetched at the same time. Default: 8.'],
    ['-if-db-not-exists', 'Do nothing, successfully, when the output is there already.'],
    ['-if-replica-exists', 'Do nothing, successfully, when there is no backup.'],
    ['-integrity-check none|quick|full', 'How to check the result before it is put in its place. Default: quick.'],
  ],
} as const

interface Request {
  readonly outputPath: string
  readonly replicas: readonly ReplicaConfig[]
  readonly logging: LoggingConfig
  readonly secrets: readonly string[]
}

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const { flags, operands } = parsed
  if (operands[0] === undefined || operands[0] === '') throw usage('database path or replica URL required')
  if (operands.length > 1) throw usage('too many arguments')
  const target = targetOf(flags)
  if (flags.generation !== '' && !isGeneration(flags.generation)) {
    throw usage(`a generation is 16 lowercase hexadecimal digits, not "${flags.generation}"`)
  }
  const request = isUrl(operands[0]) ? fromUrl(operands[0], flags, io) : await fromConfig(operands[0], flags, io)

  const progress = new ProgressLine('restoring', io.stderr, systemClock.monotonic)
  const { level, type } = request.logging
  const write = (line: string): void => progress.writeLine(line)
  const logger = createLineLogger({ level, type, secrets: request.secrets, write })

  if (flags['if-db-not-exists'] && (await isThere(request.outputPath))) {
    logger.info('database already exists, skipping')
    return EXIT_OK
  }
  const { replicas, failure } = await openAll(request.replicas, logger)
  try {
    const result = await restoreDatabase({
      replicas,
      outputPath: request.outputPath,
      target,
      generation: flags.generation || undefined,
      integrityCheck: flags['integrity-check'],
      parallelism: Math.max(1, flags.parallelism),
      logger,
      signal: io.signal,
      onProgress: (done) => progress.update(done, logger),
      monotonic: systemClock.monotonic,
    })
    if (result) return EXIT_OK
  } finally {
    progress.hide()
    await Promise.allSettled(replicas.map(({ client }) => client.close()))
  }
  if (failure !== undefined) throw failure
  if (!flags['if-replica-exists']) throw new LitestreamError('NOT_FOUND', 'no matching backups found')
  logger.info('no matching backups found')
  return EXIT_OK
}

function targetOf({ index, timestamp }: FlagValues<typeof FLAGS>): RestoreTarget {
  if (timestamp === '') return index === undefined ? { kind: 'latest' } : { kind: 'index', index }
  const atMs = parseRfc3339(timestamp)
  // The space before "format" is the original's: one that does not break.
  const form = 'must specify in ISO 8601\u00a0format (e.g. 2000-01-01T00:00:00Z)'
  if (atMs === undefined) throw usage(`invalid -timestamp, ${form}`)
  if (index !== undefined) throw usage('cannot specify index & timestamp to restore')
  return { kind: 'time', atMs }
}

function fromUrl(url: string, flags: FlagValues<typeof FLAGS>, io: CommandIo): Request {
  if (flags.config !== '') throw usage('cannot specify a replica URL and the -config flag')
  if (flags.o === '') throw usage('output path required')
  const replica = replicaFromUrl(url, io)
  const logging = { level: 'info', type: 'text', stderr: true } as const
  const secrets = replica.type === 's3' ? [replica.secretAccessKey] : []
  return { outputPath: resolve(io.cwd, flags.o), replicas: [replica], logging, secrets }
}

async function fromConfig(path: string, flags: FlagValues<typeof FLAGS>, io: CommandIo): Promise<Request> {
  const config = await loadConfig({ path: flags.config, env: io.env, cwd: io.cwd, expandEnv: !flags['no-expand-env'] })
  const database = findDatabase(config, path, io)
  const replicas = database.replicas.filter(({ name }) => flags.replica === '' || name === flags.replica)
  if (replicas.length === 0 && flags.replica !== '') {
    throw new LitestreamError('NOT_FOUND', `replica "${flags.replica}" not found for database "${database.path}"`)
  }
  const outputPath = flags.o === '' ? database.path : resolve(io.cwd, flags.o)
  return { outputPath, replicas, logging: config.logging, secrets: secretsOf(config) }
}

/** Anything but "does not exist" counts as there, as in the original: what cannot be looked at must not be replaced. */
async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

interface OpenedReplicas {
  readonly replicas: readonly NamedReplica[]
  /** Why the first of those failed that could not even be opened; no harm as long as another one can serve. */
  readonly failure: unknown
}

async function openAll(configured: readonly ReplicaConfig[], logger: Logger): Promise<OpenedReplicas> {
  const replicas: NamedReplica[] = []
  let failure: unknown
  for (const replica of configured) {
    try {
      replicas.push({ name: replica.name, client: await openReplica(replica) })
    } catch (error) {
      failure ??= error
      logger.warn('replica cannot be opened', { replica: replica.name, error })
    }
  }
  return { replicas, failure }
}
