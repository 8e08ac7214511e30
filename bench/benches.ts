// All benchmarks by name, and the groups that run several after each other.

import type { Bench } from './bench.js'
import { bigBench, flatBench, webBench } from './bench-loads.js'
import { checkpointsBench } from './checkpoints.js'
import { growthDatabasesBench, growthRatesBench, growthSizesBench } from './growth.js'
import { growthObjectsBench } from './growth-objects.js'
import { healthBench } from './health.js'
import { manyBench } from './many.js'
import { restoreBench } from './restore.js'
import { snapshotBench } from './snapshot.js'
import { soakBench } from './soak.js'
import { startBench } from './start.js'

export const BENCHES: readonly Bench[] = [
  webBench,
  flatBench,
  bigBench,
  checkpointsBench,
  snapshotBench,
  restoreBench,
  manyBench,
  startBench,
  healthBench,
  soakBench,
  growthSizesBench,
  growthDatabasesBench,
  growthRatesBench,
  growthObjectsBench,
]

export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  compare: ['web', 'flat', 'big', 'checkpoints'],
  growth: ['growth-sizes', 'growth-databases', 'growth-rates', 'growth-objects'],
  all: ['web', 'flat', 'big', 'checkpoints', 'snapshot', 'restore', 'many', 'start'],
}

/** The benchmarks of a name; undefined of an unknown one. */
export function benchesOf(name: string): readonly Bench[] | undefined {
  const wanted = GROUPS[name] ?? [name]
  const found = BENCHES.filter((bench) => wanted.includes(bench.name))
  return found.length === wanted.length ? found : undefined
}
