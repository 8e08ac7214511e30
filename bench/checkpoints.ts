// How long the application's own checkpoints wait for a replicator, and whether they fail.

import type { Contender } from './contenders.js'
import type { CheckpointMode, LoadKind, LoadReport } from './loads.js'
import { Scene, type Stage } from './scene.js'

export interface CheckpointPattern {
  readonly name: string
  readonly kind: LoadKind
  readonly mode: CheckpointMode
  readonly everyMs: number
}

export const CHECKPOINT_PATTERNS: readonly CheckpointPattern[] = [
  { name: 'truncate-web', kind: 'web', mode: 'TRUNCATE', everyMs: 500 },
  { name: 'restart-web', kind: 'web', mode: 'RESTART', everyMs: 500 },
  { name: 'full-web', kind: 'web', mode: 'FULL', everyMs: 500 },
  { name: 'truncate-flat', kind: 'flat', mode: 'TRUNCATE', everyMs: 500 },
  { name: 'restart-flat', kind: 'flat', mode: 'RESTART', everyMs: 200 },
]

export interface CheckpointMeasurement extends LoadReport {
  readonly pattern: string
  readonly contender: Contender
  readonly repetition: number
}

export async function measureCheckpoints(
  stage: Stage,
  contender: Contender,
  { name, kind, mode, everyMs }: CheckpointPattern,
  { forMs, seed, repetition }: { readonly forMs: number; readonly seed: number; readonly repetition: number },
): Promise<CheckpointMeasurement> {
  const scene = await Scene.start(stage, contender)
  try {
    const load = { kind, forMs, seed, checkpoint: { mode, everyMs } }
    const report = await scene.application.call<LoadReport>('load', load)
    scene.replicator?.usage() // it must still be there
    return { pattern: name, contender, repetition, ...report }
  } finally {
    await scene.remove()
  }
}
