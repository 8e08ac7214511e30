// One measured load: what the application felt, what the replicator used and stored, and whether its replica is complete.

import type { Contender } from './contenders.js'
import type { LoadKind, LoadReport } from './loads.js'
import { Scene, type Stage } from './scene.js'

const WAL_POLL_MS = 20

export interface Measurement extends LoadReport {
  readonly load: LoadKind
  readonly contender: Contender
  readonly repetition: number
  /** The largest size of the `-wal` file that was seen, until the replica was complete. */
  readonly walPeakBytes: number
  /** Absent for the bare application. */
  readonly replicator?: ReplicatorMeasurement
}

export interface ReplicatorMeasurement {
  /** From its start until the load begins: start-up and first snapshot. */
  readonly startCpuSeconds: number
  readonly loadCpuSeconds: number
  /** From the beginning of the load until the replica was complete. */
  readonly caughtUpCpuSeconds: number
  /** From the end of the load until the last object was stored. */
  readonly behindMs: number
  /** A restore gives the newest transaction. */
  readonly complete: boolean
  readonly peakMemoryBytes: number
  readonly snapshotBytes: number
  /** Stored after the load began. */
  readonly sentBytes: number
  readonly sentObjects: number
  /** Files beside the database that are neither the application's nor SQLite's, at the end of the load. */
  readonly foreignBytes: number
}

export async function measure(
  stage: Stage,
  contender: Contender,
  load: { readonly kind: LoadKind; readonly forMs: number; readonly seed: number },
  repetition: number,
): Promise<Measurement> {
  const scene = await Scene.start(stage, contender)
  let walPeakBytes = 0
  const watch = setInterval(() => {
    walPeakBytes = Math.max(walPeakBytes, scene.walBytes())
  }, WAL_POLL_MS)
  try {
    const before = { stored: await scene.stored(), usage: scene.replicator?.usage() }
    const report = await scene.application.call<LoadReport>('load', load)
    const endedMs = Date.now()
    const after = scene.replicator?.usage()
    const foreignBytes = scene.foreignBytes()
    const measured = { load: load.kind, contender, repetition, ...report }
    if (!before.usage || !after) return { ...measured, walPeakBytes }
    const { stored, usage = after, restored } = await scene.settle(report.lastTransaction)
    return {
      ...measured,
      walPeakBytes,
      replicator: {
        startCpuSeconds: before.usage.cpuSeconds,
        loadCpuSeconds: after.cpuSeconds - before.usage.cpuSeconds,
        caughtUpCpuSeconds: usage.cpuSeconds - before.usage.cpuSeconds,
        behindMs: Math.max(0, stored.newestMs - endedMs),
        complete: restored?.transaction === report.lastTransaction,
        peakMemoryBytes: usage.peakMemoryBytes,
        snapshotBytes: before.stored.bytes,
        sentBytes: stored.bytes - before.stored.bytes,
        sentObjects: stored.objects - before.stored.objects,
        foreignBytes,
      },
    }
  } finally {
    clearInterval(watch)
    await scene.remove()
  }
}
