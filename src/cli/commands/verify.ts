// `litestream verify`: proves that replicas restore to what was written. Where the database is on this machine it is read and compared
// with its replicas at the same commit, while the application goes on; elsewhere each replica is restored into a temporary directory
// and checked by SQLite. Nothing is left behind, and nothing is written to the replica or beside the database.
//
// Exit status: 0 all ok; 1 at least one failed; 2 none failed, but at least one could not be decided.

import { lstat } from 'node:fs/promises'
import { systemClock, TIMER_MS_MAX } from '../../clock.js'
import { findDatabase, loadConfig, replicaFromUrl, secretsOf } from '../../config/load.js'
import { isUrl } from '../../config/paths.js'
import type { LoggingConfig, ReplicaConfig } from '../../config/types.js'
import { parseDurationMs } from '../../config/units.js'
import { isLitestreamError, LitestreamError, messageOf } from '../../errors.js'
import type { Logger } from '../../logger.js'
import type { RestoreTarget } from '../../model/target.js'
import { openReplica } from '../../replica/open.js'
import { LiveComparison, type Verdict } from '../../replicate/live-comparison.js'
import { checkByRestoring } from '../../restore/check-restore.js'
import { systemSource } from '../../source/source.js'
import {
  booleanFlag,
  choiceFlag,
  commonFlags,
  type FlagValues,
  loadOptions,
  parseCommandLine,
  stringFlag,
  timestampMs,
  usage,
} from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_INCONCLUSIVE, EXIT_OK } from '../io.js'
import { createLineLogger } from '../io-logger.js'
import { formatTable } from '../output.js'
import { formatUsage } from '../usage.js'

const FLAGS = {
  ...commonFlags,
  replica: stringFlag(),
  timestamp: stringFlag(),
  timeout: stringFlag('60s'),
  'integrity-check': choiceFlag(['default', 'none', 'quick', 'full'], 'default'),
  json: booleanFlag(),
}

const USAGE = {
  forms: ['verify [flags]', 'verify [flags] DB_PATH', 'verify [flags] REPLICA_URL'],
  about: `verify proves that the replicas of all databases of the configuration, of one database, or one replica by its URL, can be
restored. Where the database is at hand it is compared with what the replica holds for the same commit, page by page; elsewhere the
replica is restored into a temporary directory and checked. Nothing is left behind.

The outcome is ok, failed, or inconclusive: what could not be decided, with the reason.`,
  flags: [
    ['-replica NAME', 'Only this replica of the database.'],
    ['-timestamp TIME', 'Restore and check the state of this moment (RFC 3339) instead of comparing the newest.'],
    [
      '-timeout DURATION',
      'How long to wait for the database and for the replica to get to what is compared. Default: 60s.',
    ],
    [
      '-integrity-check none|quick|full',
      'Restore and check in this way. Default: full, and not at all where the database is at hand.',
    ],
    ['-json', 'Print the outcomes as JSON.'],
  ],
  examples: [
    ['verify', 'Every replica of the configuration.'],
    ['verify -timestamp 2026-01-15T10:30:00Z /data/app.db', 'Can that moment be restored?'],
    ['verify s3://bucket/app', 'A replica, without a configuration.'],
  ],
  success: 'every outcome is ok',
  inconclusive: 'an outcome is inconclusive, and none is failed',
} as const

const HEADER = ['database', 'replica', 'outcome', 'pages', 'position', 'reason']

interface Subject {
  /** Absent when a replica's URL was given. */
  readonly path: string | undefined
  readonly replicas: readonly ReplicaConfig[]
}

interface Outcome extends Verdict {
  readonly database: string
  readonly replica: string
}

type Flags = FlagValues<typeof FLAGS>

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const { flags, operands } = parsed
  if (operands.length > 1) throw usage('too many arguments')
  const timeoutMs = timeoutOf(flags.timeout)
  const target = targetOf(flags.timestamp)
  const { subjects, logging, secrets } = await subjectsOf(operands[0], flags, io)
  // What is going on is of interest only where something is wrong with it.
  const level = logging.level === 'debug' ? 'debug' : 'warn'
  const write = (line: string): void => io.stderr.write(line)
  const log = createLineLogger({ level, type: logging.type, secrets, write })
  const outcomes: Outcome[] = []
  for (const subject of subjects) outcomes.push(...(await verifyOne(subject, target, flags, timeoutMs, log, io.signal)))
  if (flags.json) io.stdout.write(`${JSON.stringify(outcomes, undefined, 2)}\n`)
  else io.stdout.write(formatTable(HEADER, outcomes.map(rowOf)))
  if (outcomes.some(({ outcome }) => outcome === 'failed')) return EXIT_FAILURE
  return outcomes.some(({ outcome }) => outcome === 'inconclusive') ? EXIT_INCONCLUSIVE : EXIT_OK
}

const rowOf = ({ database, replica, outcome, pageCount, position, reason }: Outcome): string[] => [
  database || '-',
  replica,
  outcome,
  pageCount > 0 ? String(pageCount) : '-',
  position || '-',
  reason || '-',
]

async function verifyOne(
  { path, replicas }: Subject,
  target: RestoreTarget,
  flags: Flags,
  timeoutMs: number,
  log: Logger,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const check = flags['integrity-check']
  const compares = path !== undefined && target.kind === 'latest' && (await isThere(path))
  const source = compares ? await openSource(path, timeoutMs, log, signal) : undefined
  const outcomes: Outcome[] = []
  try {
    for (const replica of replicas) {
      const name = { database: path ?? '', replica: replica.name }
      let client: Awaited<ReturnType<typeof openReplica>> | undefined
      try {
        client = await openReplica(replica)
        const named = { name: replica.name, client }
        const restored = () => {
          const integrityCheck = check === 'default' ? 'full' : check
          const { monotonic } = systemClock
          return checkByRestoring(named, { target, integrityCheck, parallelism: 8, logger: log, signal, monotonic })
        }
        let verdict: Verdict
        if (!source) verdict = await restored()
        else if ('unreadable' in source) verdict = withoutSource(await restored(), source.unreadable)
        else {
          verdict = await source.comparison.verdict(named, AbortSignal.timeout(timeoutMs), signal)
          if (verdict.outcome === 'ok' && check !== 'default') verdict = await restored()
        }
        outcomes.push({ ...name, ...verdict })
      } catch (error) {
        signal.throwIfAborted()
        if (!isLitestreamError(error)) throw error
        outcomes.push({ ...name, outcome: 'inconclusive', reason: messageOf(error), position: '', pageCount: 0 })
      } finally {
        await client?.close()
      }
    }
  } finally {
    if (source && 'comparison' in source) await source.comparison.close()
  }
  return outcomes
}

/** It restores, and is sound; whether it is what the database holds could not be seen. */
function withoutSource(verdict: Verdict, unreadable: string): Verdict {
  if (verdict.outcome !== 'ok') return verdict
  return { ...verdict, outcome: 'inconclusive', reason: `it restores, but was not compared: ${unreadable}` }
}

type OpenedSource = { readonly comparison: LiveComparison } | { readonly unreadable: string }

async function openSource(path: string, timeoutMs: number, log: Logger, signal: AbortSignal): Promise<OpenedSource> {
  const comparison = new LiveComparison({ path, source: systemSource, clock: systemClock, log, parallelism: 4 })
  try {
    await comparison.read(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
    return { comparison }
  } catch (error) {
    await comparison.close()
    signal.throwIfAborted()
    return { unreadable: messageOf(error) }
  }
}

async function subjectsOf(operand: string | undefined, flags: Flags, io: CommandIo) {
  if (operand !== undefined && isUrl(operand)) {
    if (flags.config !== '') throw usage('cannot specify a replica URL and the -config flag')
    const replica = replicaFromUrl(operand, io)
    const logging: LoggingConfig = { level: 'info', type: 'text', stderr: true }
    const secrets = replica.type === 's3' ? [replica.secretAccessKey] : []
    return { subjects: [{ path: undefined, replicas: [replica] }], logging, secrets }
  }
  const config = await loadConfig(loadOptions(flags, io))
  const databases = operand === undefined ? config.databases : [findDatabase(config, operand, io)]
  const wanted = ({ name }: ReplicaConfig): boolean => flags.replica === '' || name === flags.replica
  const subjects: Subject[] = databases.map(({ path, replicas }) => ({ path, replicas: replicas.filter(wanted) }))
  if (subjects.every(({ replicas }) => replicas.length === 0)) {
    throw new LitestreamError('NOT_FOUND', `no replica ${flags.replica === '' ? '' : `"${flags.replica}" `}to verify`)
  }
  return { subjects, logging: config.logging, secrets: secretsOf(config) }
}

function timeoutOf(text: string): number {
  const parsed = parseDurationMs(text)
  if ('problem' in parsed || parsed.value <= 0)
    throw usage(`invalid -timeout "${text}", use a duration such as 60s or 5m`)
  return Math.min(parsed.value, TIMER_MS_MAX)
}

function targetOf(timestamp: string): RestoreTarget {
  if (timestamp === '') return { kind: 'latest' }
  return { kind: 'time', atMs: timestampMs(timestamp) }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch {
    return false
  }
}
