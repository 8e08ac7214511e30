// `litestream replicate`: the daemon in the foreground. Stops on SIGINT, SIGTERM, when the `-exec` child ends, or when nobody reads
// its output any more; always with a final sync of everything that is committed by then.

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { systemClock } from '../../clock.js'
import { configFromUrls, loadConfig, secretsOf } from '../../config/load.js'
import { secretsIn } from '../../config/secrets.js'
import type { Config, DatabaseConfig, ReplicaConfig } from '../../config/types.js'
import { socketPlaces } from '../../control/place.js'
import { controlHandlers } from '../../control/requests.js'
import { ControlServer } from '../../control/server.js'
import { tuneForDaemon } from '../../engine-tuning.js'
import { LitestreamError, messageOf } from '../../errors.js'
import type { HttpServer } from '../../http/server.js'
import { createLogger } from '../../log.js'
import { type Attributes, LogDuration, type Logger } from '../../logger.js'
import { MemoryWatch } from '../../memory-watch.js'
import { policyNote } from '../../plan/snapshot-plan.js'
import { noteOnTheWay, openReplica } from '../../replica/open.js'
import { Daemon, type DaemonDatabase } from '../../replicate/daemon.js'
import { systemSource } from '../../source/source.js'
import { spoolProblem } from '../../source/spool.js'
import { VERSION } from '../../version.js'
import { commonFlags, loadOptions, parseCommandLine, stringFlag, usage } from '../args.js'
import { ExecProcess } from '../exec.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK, type StopReason } from '../io.js'
import { formatBytes } from '../progress.js'
import { SnapshotProgress } from '../snapshot-progress.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, exec: stringFlag() }

const USAGE = {
  forms: ['replicate [flags]', 'replicate [flags] DB_PATH REPLICA_URL...'],
  about: 'replicate follows the databases of the configuration, or the one given, and keeps their replicas up to date.',
  flags: [['-exec CMD', 'Run this command and stop, after a last sync, when it ends.']],
  examples: [
    ['replicate', 'Every database of /etc/litestream.yml, until SIGTERM or SIGINT.'],
    ['replicate -exec "bin/rails server"', 'The same, beside a program.'],
    ['replicate /data/app.db s3://bucket/app', 'One database, without a configuration.'],
  ],
  success: 'stopped with everything shipped, and the -exec program, if any, ended well',
} as const

/** Twice the default `max-wal-size`. */
const UNSPOOLED_BYTES_MAX = 256 << 20

/** Kamal and Docker kill ten seconds after asking. */
const STOP_DEADLINE_MS = 8000

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  tuneForDaemon()
  const config = await configOf(parsed.operands, parsed.flags, io)
  const exec = parsed.flags.exec || config.exec
  const broken = new AbortController()
  const progress = new SnapshotProgress(io)
  const lines = createLogger({
    level: config.logging.level,
    type: config.logging.type,
    fd: config.logging.stderr ? 2 : 1,
    secrets: [...secretsOf(config), ...secretsIn(io.env)],
    onBrokenPipe: () => broken.abort(new LitestreamError('ABORTED', 'nobody reads the log any more')),
  })
  const log = progress.makeWayFor(lines)
  log.info('litestream', { version: `v${VERSION}` })
  if (config.databases.length === 0)
    throw new LitestreamError('CONFIG', 'no databases specified in configuration; add one under dbs')
  let daemon: Daemon | undefined
  const running = (): Daemon => {
    if (daemon) return daemon
    throw new LitestreamError('NOT_FOUND', 'the daemon is starting')
  }
  // First of all: from now on whoever asks is not told that no daemon is here.
  const handlers = controlHandlers({ report: () => running().report(), probe: async () => await running().probe() })
  const control = await ControlServer.start(socketPlaces(config), handlers, log)
  let failure: string
  let http: HttpServer | undefined
  const memory = new MemoryWatch({ clock: systemClock })
  try {
    daemon = new Daemon({
      databases: await Promise.all(config.databases.map((database) => openDatabase(database, log, progress))),
      source: systemSource,
      pendingBytesMax: pendingBytesMax(config, log),
      clock: systemClock,
      randomHex: (bytes) => randomBytes(bytes).toString('hex'),
      host: hostname(),
      log,
    })
    if (config.addr !== '') {
      // With what only metrics need.
      const { HttpServer } = await import('../../http/server.js')
      http = await HttpServer.start(config.addr, daemon, log)
    }
    const child = exec === '' ? undefined : await ExecProcess.start(exec)
    daemon.start()
    memory.start()
    failure = await untilStopped(AbortSignal.any([io.signal, broken.signal]), child, log)
    await daemon.stop(STOP_DEADLINE_MS)
  } finally {
    memory.stop()
    await control?.stop()
    await http?.stop()
  }
  log.info('litestream shut down')
  if (failure === '') return EXIT_OK
  log.error('failed to run', { error: failure })
  return EXIT_FAILURE
}

async function configOf(
  operands: readonly string[],
  flags: { readonly config: string; readonly 'no-expand-env': boolean },
  io: CommandIo,
): Promise<Config> {
  const [path, ...urls] = operands
  if (path === undefined) {
    return await loadConfig(loadOptions(flags, io))
  }
  if (urls.length === 0) throw usage(`must specify at least one replica URL for ${path}`)
  if (flags.config !== '') throw usage('cannot specify a replica URL and the -config flag')
  return configFromUrls(path, urls, io)
}

/**
 * How much may wait in memory: more where there is no place for spool files, as in a container with a read-only root and no /tmp. It is
 * told now, and not by the first large transaction. Undefined for the default.
 */
function pendingBytesMax(config: Config, log: Logger): number | undefined {
  const directories = new Set(config.databases.map(usableMetaPath))
  const problem = [...directories].map((directory) => spoolProblem(directory)).find((found) => found !== undefined)
  if (problem === undefined) return undefined
  const reason = `${problem} (a container needs --tmpfs /tmp or a volume there)`
  log.warn('large transactions have to wait in memory', { limit: formatBytes(UNSPOOLED_BYTES_MAX), reason })
  return UNSPOOLED_BYTES_MAX
}

async function openDatabase(
  database: DatabaseConfig,
  log: Logger,
  progress: SnapshotProgress,
): Promise<DaemonDatabase> {
  const { path } = database
  log.info('initialized db', { path })
  const metaPath = metaPathOf(database, log)
  if (database.replicas.length === 0) log.warn('database has no replicas, it is not backed up', { path })
  const replicas = await Promise.all(
    database.replicas.map(async (replica) => {
      const { name, type, syncIntervalMs } = replica
      log.info('replicating to', { name, type, 'sync-interval': new LogDuration(syncIntervalMs), ...placeOf(replica) })
      const snapshotProgress = progress.of(path, name)
      for (const note of [policyNote(replica), noteOnTheWay(replica)]) {
        if (note !== undefined) log.warn(note, { db: path, replica: name })
      }
      return { ...replica, client: await openReplica(replica), snapshotProgress }
    }),
  )
  return { ...database, metaPath, spoolDirectory: metaPath, replicas }
}

/** The original keeps its directory beside the database; nothing of ours goes there. */
function usableMetaPath({ path, metaPath }: DatabaseConfig): string | undefined {
  return metaPath !== undefined && `${metaPath}/`.startsWith(`${dirname(path)}/`) ? undefined : metaPath
}

function metaPathOf(database: DatabaseConfig, log: Logger): string | undefined {
  const { path, metaPath } = database
  const usable = usableMetaPath(database)
  if (usable !== metaPath) {
    const advice = 'choose a directory outside of the database’s volume'
    log.warn('meta-path is in the directory of the database and is not used', { path, 'meta-path': metaPath, advice })
  }
  return usable
}

function placeOf(replica: ReplicaConfig): Attributes {
  if (replica.type === 'file') return { path: replica.path }
  const { bucket, path, region, endpoint } = replica
  return { bucket, path, region, endpoint }
}

/** Resolves when it is time to stop, with what has to be reported as a failure (or nothing). */
async function untilStopped(signal: AbortSignal, child: ExecProcess | undefined, log: Logger): Promise<string> {
  const asked = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const ended = await Promise.race([asked, ...(child ? [child.ended] : [])])
  if (ended !== undefined) {
    log.info('subprocess exited, litestream shutting down')
    return ended
  }
  const reason = signal.reason as StopReason
  if (reason.signalName === undefined) log.info(`${messageOf(reason)}, litestream shutting down`)
  else log.info('signal received, litestream shutting down')
  if (!child) return ''
  log.info('sending signal to exec process')
  child.signal(reason.signalName ?? 'SIGTERM')
  log.info('waiting for exec process to close')
  const result = await child.ended
  // A child that dies of the signal it was sent did what it was asked to.
  return result.startsWith('signal: ') ? '' : result
}
