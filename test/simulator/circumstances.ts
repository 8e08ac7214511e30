// How a run is: drawn from its seed, and what a test may change in it.

import type { ReplicaClient } from '../../src/replica/client.js'
import type { Source } from '../../src/source/source.js'
import type { Random } from '../crash/random.js'
import { drawHabits, type Habits } from './application.js'
import type { StoreOptions } from './store.js'

/** What a test may change in a run: the circumstances, or, for a canary, a part that is put in the place of a right one. */
export interface Changes {
  readonly circumstances?: Partial<Circumstances> | undefined
  readonly habits?: Partial<Habits> | undefined
  readonly store?: Partial<StoreOptions> | undefined
  readonly client?: ((client: ReplicaClient) => ReplicaClient) | undefined
  readonly source?: ((source: Source) => Source) | undefined
}

export interface Circumstances {
  readonly habits: Habits
  readonly store: StoreOptions
  readonly daemons: number
  readonly shmWritable: boolean
  readonly acts: number
  readonly crashEveryMs: number
  /** From the end of a daemon to the start of the next one. */
  readonly downMsMax: number
  readonly stormy: boolean
  readonly clockJumps: boolean
  readonly preemptChance: number
  readonly monitorIntervalMs: number
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly heal: boolean
  readonly validationIntervalMs: number
  /** 0: everything is kept. */
  readonly retentionMs: number
}

export function drawCircumstances(random: Random, changes: Changes): Circumstances {
  const store = {
    conditional: random.chance(0.7),
    // Well below every retention: what was not listed for a whole window nobody can keep.
    listingLagMs: random.pick([0, 0, 0, 100, 400]),
    wholeSeconds: random.chance(0.3),
  }
  return {
    habits: { ...drawHabits(random), ...changes.habits },
    store: { ...store, ...changes.store },
    daemons: random.chance(0.2) ? 2 : 1,
    shmWritable: random.chance(0.4),
    acts: 30 + random.below(120),
    crashEveryMs: random.pick([0, 0, 1500, 6000]),
    downMsMax: random.pick([20, 500, 2300]),
    stormy: random.chance(0.6),
    // Which of two generations of the same moment is the newer one is told by the clock alone.
    clockJumps: !store.wholeSeconds && random.chance(0.2),
    preemptChance: random.pick([0, 0.01, 0.05]),
    monitorIntervalMs: random.pick([100, 1000]),
    syncIntervalMs: random.pick([0, 50, 1000]),
    snapshotIntervalMs: random.pick([0, 400, 4000]),
    minCheckpointPageCount: random.pick([2, 10, 50]),
    heal: random.chance(0.5),
    retentionMs: random.pick([0, 0, 1000, 5000]),
    validationIntervalMs: random.pick([0, 0, 0, 3000]),
    ...changes.circumstances,
  }
}
