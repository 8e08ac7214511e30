// What is lost when everything dies: application and replicator are killed at the same moment, and the newest transaction of a
// restore is compared with the newest one that SQLite had acknowledged to the application.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../test/support/until.js'
import type { Contender } from './contenders.js'
import type { LoadKind } from './loads.js'
import type { Run } from './result.js'
import { Scene, type SceneOptions } from './scene.js'
import type { Stage } from './stage.js'

export async function loseEverything(
  stage: Stage,
  contender: Contender,
  options: SceneOptions,
  load: { readonly kind: LoadKind; readonly seed: number },
  { killedAfterMs, repetition }: { readonly killedAfterMs: number; readonly repetition: number },
): Promise<Run> {
  const scene = await Scene.start(stage, contender, options)
  try {
    const acknowledgeTo = join(scene.directory, 'acknowledged')
    const beganMs = Date.now()
    const running = scene.application.call('load', { ...load, forMs: killedAfterMs + 60_000, acknowledgeTo })
    const died = running.then(
      () => Promise.reject(new Error('the load ended before it was killed')),
      () => {},
    )
    await until(() => (statSync(acknowledgeTo, { throwIfNoEntry: false })?.size ?? 0) > 0, { what: 'a first commit' })
    await sleep(killedAfterMs)
    await scene.kill()
    await died
    const bytes = readFileSync(acknowledgeTo)
    const acknowledged = { transaction: bytes.readDoubleLE(0), atMs: bytes.readDoubleLE(8) }
    const restored = await scene.restore()
    return {
      contender,
      repetition,
      figures: {
        killedAfterMs,
        // The very last commit may have been made, and even shipped, without having been acknowledged.
        lostTransactions: Math.max(0, acknowledged.transaction - (restored?.transaction ?? 0)),
        // Between the two transactions; from the beginning of the load when nothing of it could be restored.
        lostMs: Math.max(0, acknowledged.atMs - Math.max(restored?.atMs ?? 0, beganMs)),
        // The transaction before the load, a part of the preparations, is older than its beginning.
        lostAll: restored === undefined || restored.atMs < beganMs ? 1 : 0,
      },
    }
  } finally {
    await scene.remove()
  }
}
