// `npm run bench -- compare`: the bare application, with the real Litestream 0.3.13, and with ours, in turn on one machine in one
// run. The order turns by one with each repetition, so that nobody always follows the same one.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Random } from '../test/crash/random.js'
import { projectRoot } from '../test/support/make-dist.js'
import { minioServer } from '../test/support/minio.js'
import { stopSharedMinio } from '../test/support/minio-server.js'
import { startChild } from '../test/support/observer/child.js'
import { childProgram } from '../test/support/observer/child-program.js'
import { CHECKPOINT_PATTERNS, type CheckpointMeasurement, measureCheckpoints } from './checkpoints.js'
import { CONTENDERS, type Contender, SYNC_INTERVAL_MS } from './contenders.js'
import type { LoadKind } from './loads.js'
import { type Loss, loseEverything } from './loss.js'
import { describeMachine, type Machine } from './machine.js'
import { type Measurement, measure } from './measure.js'
import type { Stage } from './scene.js'

export const PARTS = ['flat', 'web', 'loss', 'checkpoints'] as const
export type Part = (typeof PARTS)[number]

export interface CompareOptions {
  readonly parts: readonly Part[]
  readonly repetitions: number
  readonly loadMs: number
  readonly kills: number
  readonly checkpointRepetitions: number
  readonly checkpointMs: number
  /** Names of CHECKPOINT_PATTERNS. */
  readonly patterns: readonly string[]
  readonly databaseBytes: number
  readonly seed: number
}

export interface Comparison {
  readonly version: 1
  readonly startedAt: string
  readonly elapsedSeconds: number
  readonly machine: Machine
  readonly syncIntervalMs: number
  readonly options: CompareOptions
  readonly measurements: readonly Measurement[]
  readonly losses: readonly Loss[]
  readonly checkpoints: readonly CheckpointMeasurement[]
}

const WITHOUT_MOUNT: readonly Contender[] = ['bare', 'litestream-0.3.13', 'ours']
const REPLICATORS: readonly Contender[] = ['litestream-0.3.13', 'ours']
/** A kill comes at a random moment between these shares of the load's length. */
const KILL_BETWEEN = { from: 0.25, to: 0.625 }

function turned<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

export async function compare(options: CompareOptions, say: (text: string) => void): Promise<Comparison> {
  const began = new Date()
  const directory = mkdtempSync(join(tmpdir(), 'litestream-bench-'))
  try {
    const stage = await prepare(directory, options, say)
    const measurements: Measurement[] = []
    const losses: Loss[] = []
    const checkpoints: CheckpointMeasurement[] = []
    for (const kind of ['flat', 'web'] as const) {
      if (options.parts.includes(kind)) measurements.push(...(await compareLoad(stage, options, kind)))
      if (options.parts.includes('loss')) losses.push(...(await compareLoss(stage, options, kind)))
    }
    if (options.parts.includes('checkpoints')) checkpoints.push(...(await compareCheckpoints(stage, options)))
    const machine = await describeMachine()
    const elapsedSeconds = Math.round((Date.now() - began.getTime()) / 1000)
    const about = { version: 1, startedAt: began.toISOString(), elapsedSeconds, machine } as const
    return { ...about, syncIntervalMs: SYNC_INTERVAL_MS, options, measurements, losses, checkpoints }
  } finally {
    await stopSharedMinio()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Everything that takes time of its own (compiling, fetching, filling the database) happens before the first measurement. */
async function prepare(directory: string, options: CompareOptions, say: (text: string) => void): Promise<Stage> {
  const program = fileURLToPath(new URL('./application-program.ts', import.meta.url))
  const application = await childProgram(relative(join(projectRoot, 'test'), program))
  const minio = await minioServer()
  const template = join(directory, 'template.db')
  const filler = startChild(application)
  await filler.call('open', template)
  await filler.call('fill', { bytes: options.databaseBytes, seed: options.seed })
  await filler.call('close')
  await filler.kill()
  return { directory, minio, application, template, say }
}

async function compareLoad(stage: Stage, options: CompareOptions, kind: LoadKind): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (let repetition = 0; repetition < options.repetitions; repetition++) {
    const load = { kind, forMs: options.loadMs, seed: options.seed + repetition }
    for (const contender of turned(WITHOUT_MOUNT, repetition)) {
      const measured = await measure(stage, contender, load, repetition)
      const complete = measured.replicator?.complete === false ? ', NOT complete' : ''
      stage.say(
        `${kind} ${repetition + 1}/${options.repetitions} ${contender}: ${Math.round(measured.transactionsPerSecond)} transactions/s, longest ${measured.longestMs.toFixed(1)} ms${complete}`,
      )
      measurements.push(measured)
    }
  }
  return measurements
}

async function compareLoss(stage: Stage, options: CompareOptions, kind: LoadKind): Promise<Loss[]> {
  const losses: Loss[] = []
  const random = new Random(options.seed)
  for (let kill = 0; kill < options.kills; kill++) {
    const share = KILL_BETWEEN.from + random.next() * (KILL_BETWEEN.to - KILL_BETWEEN.from)
    const afterMs = Math.round(options.loadMs * share)
    for (const contender of turned(REPLICATORS, kill)) {
      const loss = await loseEverything(stage, contender, { kind, seed: options.seed + kill }, afterMs)
      stage.say(
        `${kind} loss ${kill + 1}/${options.kills} ${contender}: killed after ${afterMs} ms, lost ${Math.round(loss.lostMs)} ms, ${loss.lostTransactions} transactions`,
      )
      losses.push(loss)
    }
  }
  return losses
}

async function compareCheckpoints(stage: Stage, options: CompareOptions): Promise<CheckpointMeasurement[]> {
  const measurements: CheckpointMeasurement[] = []
  for (let repetition = 0; repetition < options.checkpointRepetitions; repetition++) {
    for (const pattern of CHECKPOINT_PATTERNS.filter(({ name }) => options.patterns.includes(name))) {
      const how = { forMs: options.checkpointMs, seed: options.seed + repetition, repetition }
      for (const contender of turned(CONTENDERS, repetition)) {
        const measured = await measureCheckpoints(stage, contender, pattern, how)
        stage.say(
          `${pattern.name} ${repetition + 1}/${options.checkpointRepetitions} ${contender}: longest of ${measured.checkpoints} checkpoints ${measured.longestCheckpointMs.toFixed(1)} ms, ${measured.failedCheckpoints} failed`,
        )
        measurements.push(measured)
      }
    }
  }
  return measurements
}
