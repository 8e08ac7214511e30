// One measured load: what the application felt, what the replicator used and stored, and whether its replica is complete.

import type { Contender } from './contenders.js'
import type { LoadOptions, LoadReport } from './loads.js'
import type { Figures, Run } from './result.js'
import { Scene, type SceneOptions } from './scene.js'
import type { Stage } from './stage.js'
import { trafficBetween, trafficOf, writesIn } from './traffic.js'

const WAL_POLL_MS = 20

/** Figures of a run that only a replicator has, besides those of LoadReport and `walPeakBytes`. */
export interface ReplicatorFigures {
  /** From its start until the first snapshot was stored. */
  readonly snapshotSeconds: number
  /** From its start until the load begins: start-up and first snapshot. */
  readonly startCpuSeconds: number
  readonly loadCpuSeconds: number
  /** From the beginning of the load until the replica was complete. */
  readonly caughtUpCpuSeconds: number
  /** From the end of the load until the last object was stored. */
  readonly behindMs: number
  /** 1: a restore gives the newest transaction. */
  readonly complete: number
  readonly peakMemoryBytes: number
  readonly snapshotBytes: number
  /** That the store received after the load began. */
  readonly sentBytes: number
  /** Requests that stored or deleted something, after the load began. */
  readonly writeRequests: number
  /** Files beside the database that are neither the application's nor SQLite's, at the end of the load. */
  readonly foreignBytes: number
}

export async function measure(
  stage: Stage,
  contender: Contender,
  options: SceneOptions,
  load: LoadOptions,
  repetition: number,
  /** More figures of the scene, once the replica is complete and its figures are taken. */
  afterwards?: (scene: Scene, last: number) => Promise<Figures>,
): Promise<Run> {
  const scene = await Scene.start(stage, contender, options)
  let walPeakBytes = 0
  const watch = setInterval(() => {
    walPeakBytes = Math.max(walPeakBytes, scene.walBytes())
  }, WAL_POLL_MS)
  try {
    const before = {
      stored: await scene.stored(),
      traffic: await trafficOf(stage.minio),
      usage: scene.replicator?.usage(),
    }
    const report = await scene.application.call<LoadReport>('load', load)
    const endedMs = Date.now()
    const after = scene.replicator?.usage()
    const foreignBytes = scene.foreignBytes()
    if (!before.usage || !after) return { contender, repetition, figures: { ...report, walPeakBytes } }
    const { stored, usage = after, restored } = await scene.settle(report.lastTransaction)
    const traffic = trafficBetween(before.traffic, await trafficOf(stage.minio))
    const replicator: ReplicatorFigures = {
      snapshotSeconds: scene.snapshotMs / 1000,
      startCpuSeconds: before.usage.cpuSeconds,
      loadCpuSeconds: after.cpuSeconds - before.usage.cpuSeconds,
      caughtUpCpuSeconds: usage.cpuSeconds - before.usage.cpuSeconds,
      behindMs: Math.max(0, stored.newestMs - endedMs),
      complete: restored?.transaction === report.lastTransaction ? 1 : 0,
      peakMemoryBytes: usage.peakMemoryBytes,
      snapshotBytes: before.stored.bytes,
      sentBytes: traffic.receivedBytes,
      writeRequests: writesIn(traffic),
      foreignBytes,
    }
    const more = await afterwards?.(scene, report.lastTransaction)
    return { contender, repetition, figures: { ...report, walPeakBytes, ...replicator, ...more } }
  } finally {
    clearInterval(watch)
    await scene.remove()
  }
}
