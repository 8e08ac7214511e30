// Restores a database: choose (select), build the file (pipeline), check it (integrity), put it in its place (output). The result
// appears whole and checked, or an error says why and nothing is left behind.
//
// A replica of the real Litestream can hold a snapshot that is a mixture of states until a later segment is applied, and does not
// say so. There the check cannot be turned off, and where it fails an earlier snapshot is tried before giving up.

import { LitestreamError, messageOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { formatPosition, type Position } from '../model/position.js'
import { formatMoment, type RestoreTarget } from '../model/target.js'
import type { PlannedReplica } from '../plan/restore-choice.js'
import { planGeneration, type RestorePlan } from '../plan/restore-plan.js'
import { checkIntegrity, type IntegrityCheck, type IntegrityVerdict } from './integrity.js'
import { localError } from './local-files.js'
import { OutputFile, type OutputOptions } from './output.js'
import { type RestoredFile, type RestoreProgress, restoreFile } from './pipeline.js'
import { type NamedReplica, type OpenedReplica, selectReplica } from './select.js'

export interface RestoreOptions {
  /** In the order in which they are preferred at a tie. */
  readonly replicas: readonly NamedReplica[]
  readonly outputPath: string
  readonly output?: OutputOptions | undefined
  readonly target: RestoreTarget
  /** Restrict the choice to this generation. */
  readonly generation?: string | undefined
  readonly integrityCheck: IntegrityCheck
  /** Objects fetched at the same time, at least 1. */
  readonly parallelism: number
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  /** Monotonic milliseconds, for the elapsed times in the log. */
  readonly monotonic: () => number
}

export interface RestoreResult {
  readonly replica: string
  /** Of the newest object used; `offset` is where its content begins, and 0 for a snapshot. */
  readonly position: Position
  /** The moment that the restored state stands for. */
  readonly stateAtMs: number
  readonly pageSize: number
  readonly pageCount: number
  readonly plan: RestorePlan
  /** Where a database that was replaced went. */
  readonly replacedAs: string | undefined
  /** Why SQLite could not check it; undefined when it did, or was not asked to. */
  readonly unchecked: string | undefined
}

/** Unsettled snapshots of databases up to this size get the full check. */
const FULL_CHECK_BYTES_MAX = 256 * 1024 * 1024

/** Undefined when no replica holds any backup (of that generation). Rejects with LitestreamError; nothing is left behind then. */
export async function restoreDatabase(options: RestoreOptions): Promise<RestoreResult | undefined> {
  try {
    return await restoreChosen(options)
  } catch (error) {
    if (!options.signal?.aborted || error instanceof LitestreamError) throw error
    throw new LitestreamError('ABORTED', `restore of ${options.outputPath} was stopped`, { cause: error })
  }
}

async function restoreChosen(options: RestoreOptions): Promise<RestoreResult | undefined> {
  const { logger, outputPath, signal } = options
  const { usable, failed } = await selectReplica(options.replicas, options.target, options.generation, signal)
  const chosen = usable[0]
  if (!chosen) return undefined
  for (const { replica, error } of failed) {
    logger.warn('replica cannot be used, another one serves', { replica, error, serves: chosen.replica.name })
  }
  const output = await OutputFile.create(outputPath, options.output)
  try {
    const { restored, plan, unchecked } = await restoreFrom(chosen, output, options)
    signal?.throwIfAborted()
    logger.info('renaming database from temporary location', { path: output.path })
    await output.publish(logger)
    const { generation, index, offset } = { offset: 0, ...(plan.segments.at(-1) ?? plan.snapshot) }
    const position = { generation, index, offset }
    logger.info('restored', {
      path: outputPath,
      replica: chosen.replica.name,
      position: formatPosition(position),
      state: formatMoment(plan.stateAtMs),
      pages: restored.pageCount,
      'page-size': restored.pageSize,
    })
    const { pageSize, pageCount } = restored
    const { name: replica } = chosen.replica
    const { replacedAs } = output
    return { replica, position, stateAtMs: plan.stateAtMs, pageSize, pageCount, plan, replacedAs, unchecked }
  } catch (error) {
    await output.discard()
    throw explain(error, outputPath, usable[1]?.replica.name)
  }
}

async function restoreFrom(
  { replica, plan: firstPlan, timeline }: PlannedReplica<OpenedReplica>,
  output: OutputFile,
  options: RestoreOptions,
): Promise<{ restored: RestoredFile; plan: RestorePlan; unchecked?: string }> {
  const { logger } = options
  const excluded = new Set<number>()
  let plan = firstPlan
  for (;;) {
    const restored = await fill(replica, plan, output, options)
    const verdict = await check(plan, restored, output, options)
    if (verdict.sound === undefined) {
      const { reason } = verdict
      logger.warn('the restored database could not be checked', { path: output.path, reason })
      return { restored, plan, unchecked: reason }
    }
    if (verdict.sound) return { restored, plan }

    const problems = verdict.problems.join('; ')
    const found = `the database restored from ${plan.snapshot.key} is damaged: ${problems}`
    if (plan.recorded) {
      const advice = 'use another replica or another point in time, or restore it as it is with -integrity-check none'
      throw new LitestreamError('CORRUPT', `${found}; ${advice}`)
    }
    excluded.add(plan.snapshot.index)
    const next = await replica.provenance.answer(planGeneration(timeline, options.target, excluded))
    if ('refusal' in next) {
      const text = 'the snapshot was taken while the database changed, and no earlier one reaches this point'
      throw new LitestreamError('CORRUPT', `${found} (${text}); choose a later point in time or another generation`)
    }
    logger.warn('restored database is damaged, trying an earlier snapshot', {
      snapshot: plan.snapshot.key,
      earlier: next.plan.snapshot.key,
      problems,
    })
    plan = next.plan
    await output.clear()
  }
}

async function fill(
  replica: OpenedReplica,
  plan: RestorePlan,
  output: OutputFile,
  { logger, parallelism, signal, onProgress, monotonic }: RestoreOptions,
): Promise<RestoredFile> {
  const { generation, snapshot, segments } = plan
  logger.info('restoring snapshot', { generation, index: snapshot.index, path: output.temporaryPath })
  let startedAt = monotonic()
  const elapsed = (): LogDuration => {
    const before = startedAt
    startedAt = monotonic()
    return new LogDuration(startedAt - before)
  }
  return restoreFile(replica.client, plan, output.file, {
    parallelism,
    signal,
    onProgress,
    onDoubt: (doubt) => logger.warn('indexes may not follow each other', { doubt }),
    onSnapshot: () => {
      logger.info('restored snapshot', { generation, index: snapshot.index, elapsed: elapsed() })
      const last = segments.at(-1)
      if (last) {
        logger.info('restoring wal files', { generation, index_min: snapshot.index, index_max: last.index })
      } else {
        logger.info('snapshot only, finalizing database')
      }
    },
    onIndex: (index) => logger.info('applied wal', { generation, index, elapsed: elapsed() }),
  })
}

async function check(
  plan: RestorePlan,
  { pageSize, pageCount }: RestoredFile,
  output: OutputFile,
  { integrityCheck, logger, signal }: RestoreOptions,
): Promise<IntegrityVerdict> {
  signal?.throwIfAborted()
  let kind = integrityCheck
  if (!plan.settled && kind !== 'full') kind = pageSize * pageCount <= FULL_CHECK_BYTES_MAX ? 'full' : 'quick'
  if (kind === 'none') return { sound: true }
  logger.debug('checking the restored database', { check: kind })
  return checkIntegrity(output.temporaryPath, output.file, kind)
}

function explain(error: unknown, outputPath: string, other: string | undefined): unknown {
  const local = localError(
    error,
    `cannot write ${outputPath}`,
    'nothing was left behind; free space or choose another path',
  )
  if (other === undefined || !(local instanceof LitestreamError) || !['CORRUPT', 'STORAGE'].includes(local.code))
    return local
  return new LitestreamError(
    local.code,
    `${messageOf(local)} (replica ${other} can serve as well: -replica ${other})`,
    {
      cause: local,
    },
  )
}
