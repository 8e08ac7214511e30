// `litestream status`: how each database and replica is. What only the daemon knows it says itself, through the control socket; what
// a replica holds is read from the replica, so that half works without a daemon too.

import { loadConfig } from '../../config/load.js'
import { expandPath } from '../../config/paths.js'
import type { DatabaseConfig, ReplicaConfig } from '../../config/types.js'
import { askDaemon } from '../../control/client.js'
import { LitestreamError, messageOf } from '../../errors.js'
import { formatMoment } from '../../model/target.js'
import { openReplica } from '../../replica/open.js'
import type { DaemonReport, DatabaseReport, ReplicaReport } from '../../replicate/report.js'
import { overviewOf, type ReplicaOverview } from '../../restore/overview.js'
import { unreadable } from '../../source/readable.js'
import { booleanFlag, commonFlags, loadOptions, parseCommandLine, usage } from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { formatLag, formatSeconds, formatTable, printError } from '../output.js'
import { formatBytes } from '../progress.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, json: booleanFlag() }

const USAGE = {
  forms: ['status [flags] [DB_PATH]'],
  about: `status tells how each database of the configuration, or one of them, and each of its replicas is: state, how far
behind, last upload, snapshot and validation, and what can be restored. It asks the daemon that serves this configuration,
and works from the replicas alone where there is none. The exit status is 1 when something is not well.`,
  flags: [['-json', 'Print JSON instead of tables.']],
  examples: [
    ['status', 'Every database of the configuration.'],
    ['status -json /data/app.db', 'One of them, for a program.'],
  ],
  success: 'every database and replica is well',
} as const

/** Shape of `-json`; times are RFC 3339, durations seconds, sizes bytes. What is not known is absent. */
interface ReplicaStatus {
  readonly name: string
  readonly type: string
  readonly state: string
  readonly reason: string
  readonly secondsBehind?: number | undefined
  readonly bytesBehind?: number | undefined
  readonly lastUpload?: string | undefined
  readonly lastSnapshot?: string | undefined
  readonly lastValidation?: { readonly outcome: string; readonly at: string; readonly reason?: string } | undefined
  readonly oldestRestorable?: string | undefined
  readonly newestRestorable?: string | undefined
  readonly bytes?: number | undefined
  readonly objects?: number | undefined
  readonly position?: string | undefined
}

interface DatabaseStatus {
  readonly path: string
  readonly state: string
  readonly reason: string
  readonly bytes?: number | undefined
  readonly walBytes?: number | undefined
  readonly wal?: DatabaseReport['wal']
  readonly walReaders?: DatabaseReport['readers'] | undefined
  readonly replicas: readonly ReplicaStatus[]
}

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const { flags, operands } = parsed
  if (operands.length > 1) throw usage('too many arguments')
  const config = await loadConfig(loadOptions(flags, io))
  const only = operands[0] === undefined ? undefined : expandPath(operands[0], io)
  const wanted = config.databases.filter(({ path }) => only === undefined || path === only)
  if (wanted.length === 0) throw new LitestreamError('NOT_FOUND', `database not found in config: ${only ?? ''}`)

  const answer = await askDaemon<DaemonReport>(config, { request: 'report', probe: true })
  const report = answer.kind === 'answer' ? answer.value : undefined
  if (answer.kind === 'silent') printError(io, 'cannot ask the daemon', { error: answer.reason })
  const databases = await Promise.all(
    wanted.map((database) =>
      statusOf(
        database,
        report?.databases.find(({ path }) => path === database.path),
        io,
      ),
    ),
  )
  const daemon = { running: report !== undefined, pid: report?.pid, version: report?.version }
  if (flags.json) io.stdout.write(`${JSON.stringify({ daemon, databases }, undefined, 2)}\n`)
  else io.stdout.write(textOf(databases, report !== undefined))
  const well = (state: string): boolean => !['error', 'empty', 'unreadable'].includes(state)
  const healthy = report
    ? wanted.every(({ path }) => {
        const one = report.databases.find((database) => database.path === path)
        return one?.healthy === true && one.replicas.every((replica) => replica.healthy)
      })
    : databases.every((one) => well(one.state) && one.replicas.every((replica) => well(replica.state)))
  return healthy && answer.kind !== 'silent' ? EXIT_OK : EXIT_FAILURE
}

async function statusOf(
  { path, replicas }: DatabaseConfig,
  report: DatabaseReport | undefined,
  io: CommandIo,
): Promise<DatabaseStatus> {
  const problem = unreadable(path)
  const told = report ?? {
    state: problem === undefined ? 'readable' : 'unreadable',
    reason: problem ?? 'no daemon serves it here',
  }
  const { state, reason } = told
  return {
    path,
    state,
    reason,
    bytes: report?.databaseBytes,
    walBytes: report?.walBytes,
    wal: report?.wal,
    walReaders: report?.readers,
    replicas: await Promise.all(
      replicas.map((replica) =>
        replicaStatus(
          replica,
          report?.replicas.find(({ name }) => name === replica.name),
          io,
        ),
      ),
    ),
  }
}

async function replicaStatus(
  config: ReplicaConfig,
  report: ReplicaReport | undefined,
  io: CommandIo,
): Promise<ReplicaStatus> {
  let holds: ReplicaOverview | undefined
  let failure: string | undefined
  try {
    const client = await openReplica(config)
    try {
      holds = await overviewOf(client, io.signal)
    } finally {
      await client.close()
    }
  } catch (error) {
    failure = messageOf(error)
  }
  const empty = holds?.newestAtMs === undefined
  const alone = {
    state: failure !== undefined ? 'error' : empty ? 'empty' : 'restorable',
    reason:
      failure ??
      holds?.problem ??
      (empty ? 'nothing can be restored from it' : 'seen in the replica; no daemon serves it here'),
  }
  const { state, reason } = report ?? alone
  const validation = report?.lastValidation
  return {
    name: config.name,
    type: config.type,
    state,
    reason,
    secondsBehind: report && report.behindMs / 1000,
    bytesBehind: report?.behindBytes,
    lastUpload: moment(report?.lastUploadAtMs ?? holds?.lastUploadAtMs),
    lastSnapshot: moment(report?.lastSnapshotAtMs ?? holds?.lastSnapshotAtMs),
    lastValidation: validation && {
      outcome: validation.outcome,
      at: formatMoment(validation.atMs),
      ...(validation.reason === '' ? {} : { reason: validation.reason }),
    },
    oldestRestorable: moment(holds?.oldestAtMs),
    newestRestorable: moment(holds?.newestAtMs),
    bytes: holds?.bytes,
    objects: holds?.objects,
    position: report?.position || undefined,
  }
}

const moment = (atMs: number | undefined): string | undefined => (atMs === undefined ? undefined : formatMoment(atMs))

function textOf(databases: readonly DatabaseStatus[], running: boolean): string {
  const size = (bytes: number | undefined): string => (bytes === undefined ? '-' : formatBytes(bytes))
  const time = (text: string | undefined): string => (text === undefined ? '-' : formatSeconds(Date.parse(text)))
  const blocks = databases.map((database) => {
    const held = holders(database)
    const lines = [
      `${database.path}: ${database.state} (${database.reason})`,
      ...(running ? [`  database ${size(database.bytes)}, WAL ${size(database.walBytes)}${held}`] : []),
    ]
    const header = [
      'replica',
      'state',
      'behind',
      'waiting',
      'uploaded',
      'snapshot',
      'validated',
      'oldest',
      'newest',
      'size',
    ]
    const rows = database.replicas.map((replica) => [
      replica.name,
      replica.state,
      replica.secondsBehind === undefined ? '-' : formatLag(replica.secondsBehind * 1000),
      size(replica.bytesBehind),
      time(replica.lastUpload),
      time(replica.lastSnapshot),
      replica.lastValidation ? `${replica.lastValidation.outcome},${time(replica.lastValidation.at)}` : '-',
      time(replica.oldestRestorable),
      time(replica.newestRestorable),
      size(replica.bytes),
    ])
    const reasons = database.replicas
      .filter(({ state }) => state !== 'ok' && state !== 'restorable')
      .map(({ name, reason }) => `  ${name}: ${reason}`)
    return `${lines.join('\n')}\n${formatTable(header, rows)}${reasons.map((line) => `${line}\n`).join('')}`
  })
  return blocks.join('\n')
}

/** Who keeps the WAL from being checkpointed or restarted, where it has grown beyond what is usual. */
function holders({ wal, walReaders = [] }: DatabaseStatus): string {
  if (!wal || wal.backfilled === wal.frames || wal.frames < 1000) return ''
  const others = walReaders.filter(({ ours, frame }) => !ours && frame < wal.frames)
  const names = others.map(({ pid, program, frame }) => `process ${pid} (${program}) reads at frame ${frame}`)
  const who = names.length > 0 ? names.join(', ') : 'no reader of it can be seen from here'
  return `, ${wal.backfilled} of ${wal.frames} frames checkpointed; ${who}`
}
