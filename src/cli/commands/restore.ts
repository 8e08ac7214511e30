// `litestream restore`: brings databases back from replicas of the configuration, or one from a replica's URL. The checks come in
// the original's order, so that `-if-db-not-exists` and `-if-replica-exists` mean to scripts what they always did:
//
//   the words of the command line; the configuration; `-if-db-not-exists` (nothing remote is asked); what the replicas hold;
//   `-if-replica-exists`; the output path.
//
// Other than the original: log lines go to stderr; `-index` together with `-timestamp` and an unknown `-replica` are errors at
// once, because with `-if-replica-exists` they would pass for "nothing to restore". With `-all` one failure does not keep the
// other databases from being restored; the exit status tells.

import { lstat } from 'node:fs/promises'
import { systemClock } from '../../clock.js'
import { secretsIn } from '../../config/secrets.js'
import type { ReplicaConfig } from '../../config/types.js'
import { LitestreamError, messageOf } from '../../errors.js'
import type { Logger } from '../../logger.js'
import { isGeneration } from '../../model/layout.js'
import type { RestoreTarget } from '../../model/target.js'
import { openReplica } from '../../replica/open.js'
import type { Owner } from '../../restore/output.js'
import { previewRestore } from '../../restore/preview.js'
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
  timestampMs,
  usage,
} from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { createLineLogger } from '../io-logger.js'
import { ProgressLine } from '../progress.js'
import { type RestoreJob, restoreJobs } from '../restore-jobs.js'
import {
  formatPreview,
  type Report,
  reportFailed,
  reportPlanned,
  reportRestored,
  reportSkipped,
} from '../restore-report.js'
import { formatUsage } from '../usage.js'

const FLAGS = {
  ...commonFlags,
  o: stringFlag(),
  all: booleanFlag(),
  replica: stringFlag(),
  generation: stringFlag(),
  index: hexIndexFlag(),
  timestamp: stringFlag(),
  replace: booleanFlag(),
  owner: stringFlag(),
  parallelism: integerFlag(8),
  'if-db-not-exists': booleanFlag(),
  'if-replica-exists': booleanFlag(),
  'integrity-check': choiceFlag(['none', 'quick', 'full'], 'quick'),
  'dry-run': booleanFlag(),
  json: booleanFlag(),
}

const USAGE = {
  forms: ['restore [flags] DB_PATH', 'restore [flags] -all', 'restore [flags] -o PATH REPLICA_URL'],
  about: 'restore brings databases back from a replica, as they were last replicated or at a point in time.',
  flags: [
    ['-o PATH', 'Restore to this path instead of the path of the database. Needed with a URL.'],
    [
      '-all',
      'Restore every database of the configuration, each to its own path. One failure does not stop the others.',
    ],
    ['-replica NAME', 'Only from this replica. Default: the one with the newest state.'],
    ['-generation NAME', 'Only from this generation. Default: the newest one.'],
    ['-index HEX', 'Up to the end of this index (hexadecimal).'],
    ['-timestamp TIME', 'The last state seen by this moment, RFC 3339: 2000-01-01T00:00:00Z.'],
    ['-replace', 'Move a database that is there aside, and keep it. Refused while somebody has it open.'],
    [
      '-owner UID[:GID]',
      'As root, give the database to this user. Default: owner of the replaced file, else of the directory.',
    ],
    ['-parallelism N', 'Objects fetched at the same time. Default: 8.'],
    ['-if-db-not-exists', 'Do nothing, successfully, when the output is there already.'],
    ['-if-replica-exists', 'Do nothing, successfully, when there is no backup.'],
    ['-integrity-check none|quick|full', 'How to check the result before it is put in its place. Default: quick.'],
    [
      '-dry-run',
      'Write nothing; say what would be fetched, how much, which moment it leads to, and what is in the way.',
    ],
    ['-json', 'Print the result, or the plan, as JSON on stdout.'],
  ],
  examples: [
    ['restore -replace /data/app.db', 'Over the database of a stopped application; the old one is kept.'],
    [
      'restore -dry-run -timestamp 2026-01-15T10:30:00Z /data/app.db',
      'Which moment that is, and how much has to be fetched.',
    ],
    [
      'restore -all -if-db-not-exists -if-replica-exists -owner 1000:1000',
      'At boot, into an empty volume of user 1000.',
    ],
    ['restore -o copy.db s3://bucket/app', 'A copy, without a configuration.'],
  ],
  success: 'restored, planned without anything in the way, or skipped by an -if- flag',
} as const

type Flags = FlagValues<typeof FLAGS>

interface Settings {
  readonly flags: Flags
  readonly target: RestoreTarget
  readonly owner: Owner | undefined
}

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const { flags, operands } = parsed
  const settings = { flags, target: targetOf(flags), owner: ownerOf(flags.owner) }
  if (flags.generation !== '' && !isGeneration(flags.generation)) {
    throw usage(`a generation is 16 lowercase hexadecimal digits, not "${flags.generation}"`)
  }
  if (flags.replace && flags['if-db-not-exists']) throw usage('-replace and -if-db-not-exists contradict each other')
  const request = await restoreJobs(operands, flags, io)

  const progress = new ProgressLine('restoring', io.stderr, systemClock.monotonic)
  const { level, type } = request.logging
  const write = (line: string): void => progress.writeLine(line)
  const logger = createLineLogger({ level, type, secrets: [...request.secrets, ...secretsIn(io.env)], write })

  const reports: Report[] = []
  const failures: unknown[] = []
  for (const job of request.jobs) {
    if (io.signal.aborted && reports.length > 0) break
    try {
      if (job.problem) throw job.problem
      const report = await restoreOne(job, settings, logger, progress, io)
      reports.push(report)
      if (report.status === 'failed')
        failures.push(new LitestreamError('EXISTS', `${job.outputPath}: ${report.reason}`))
    } catch (error) {
      reports.push(reportFailed(job, messageOf(error)))
      failures.push(error)
      if (flags.all) logger.error('cannot restore', { db: job.database, error })
    }
  }
  if (flags.json) io.stdout.write(`${JSON.stringify({ databases: reports }, null, 2)}\n`)
  if (flags.all) {
    const count = (status: Report['status']): number => reports.filter((report) => report.status === status).length
    const done = flags['dry-run'] ? { planned: count('planned') } : { restored: count('restored') }
    const left = request.jobs.length - reports.length
    logger.info('all databases', { ...done, skipped: count('skipped'), failed: count('failed'), ...(left && { left }) })
    return failures.length + left === 0 ? EXIT_OK : EXIT_FAILURE
  }
  if (failures.length > 0) throw failures[0]
  return EXIT_OK
}

async function restoreOne(
  job: RestoreJob,
  { flags, target, owner }: Settings,
  logger: Logger,
  progress: ProgressLine,
  io: CommandIo,
): Promise<Report> {
  const { outputPath } = job
  if (flags['if-db-not-exists'] && (await isThere(outputPath))) {
    logger.info('database already exists, skipping', flags.all ? { path: outputPath } : undefined)
    return reportSkipped(job, 'database already exists')
  }
  const { replicas, failure } = await openAll(job.replicas, logger)
  const output = { replaceAtMs: flags.replace ? systemClock.now() : undefined, owner }
  const what = { replicas, outputPath, output, target, generation: flags.generation || undefined, signal: io.signal }
  try {
    if (flags['dry-run']) {
      const preview = await previewRestore(what)
      if (preview && !flags.json) io.stdout.write(formatPreview(job, preview))
      if (preview) return reportPlanned(job, preview)
    } else {
      const result = await restoreDatabase({
        ...what,
        integrityCheck: flags['integrity-check'],
        parallelism: Math.max(1, flags.parallelism),
        logger,
        onProgress: (done) => progress.update(done, logger),
        monotonic: systemClock.monotonic,
      })
      if (result) return reportRestored(job, result)
    }
  } finally {
    progress.begin()
    await Promise.allSettled(replicas.map(({ client }) => client.close()))
  }
  if (failure !== undefined) throw failure
  if (!flags['if-replica-exists']) throw new LitestreamError('NOT_FOUND', 'no matching backups found')
  logger.info('no matching backups found', flags.all ? { path: outputPath } : undefined)
  return reportSkipped(job, 'no matching backups found')
}

function ownerOf(text: string): Owner | undefined {
  if (text === '') return undefined
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text)
  if (!match) throw usage(`-owner takes numbers, UID or UID:GID (as in 1000:1000), not "${text}"`)
  if (process.geteuid?.() !== 0)
    throw usage('-owner needs root; without it the database belongs to the user that restores')
  return { uid: Number(match[1]), gid: Number(match[2] ?? match[1]) }
}

function targetOf({ index, timestamp }: Flags): RestoreTarget {
  if (timestamp === '') return index === undefined ? { kind: 'latest' } : { kind: 'index', index }
  const atMs = timestampMs(timestamp)
  if (index !== undefined) throw usage('cannot specify index & timestamp to restore')
  return { kind: 'time', atMs }
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
