// What grows with the work, and how: the same figures over sizes of the database, numbers of databases, and rates of writing. A
// line for each case; the last line of a table is the exponent of the last step, 1 for what grows in proportion. (Replicas with
// many objects: growth-objects.ts.)

import { statfsSync } from 'node:fs'
import { defineBench, type Row } from './bench.js'
import { CONTENDERS, type Contender, SYNC_INTERVAL_MS } from './contenders.js'
import { measureMany } from './many.js'
import { measure } from './measure.js'
import { timeRestore } from './restore.js'
import type { Run } from './result.js'
import { names, number, numbers, UsageError } from './settings.js'
import type { Stage } from './stage.js'

const contendersFlag = names(['ours'], CONTENDERS, 'who is measured')

const replicatorsOf = (stage: Stage, contenders: readonly string[]): Contender[] =>
  stage.contenders.filter((contender) => contender !== 'bare' && contenders.includes(contender))

/** Database, replica and what is restored twice, at most one after the other. */
const DISK_PER_BYTE = 3.5

function mustHaveRoom(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory)
  const [needed, free] = [Math.ceil((bytes * DISK_PER_BYTE) / 1e9), Math.floor((bavail * bsize) / 1e9)]
  if (free < needed)
    throw new UsageError(`${needed} GB of disk are needed and ${free} are free; give smaller --sizes-mb`)
}

const LOAD_ROWS: readonly Row[] = [
  { figure: 'snapshotSeconds', label: 'first snapshot', unit: 's' },
  { figure: 'startCpuSeconds', label: 'CPU for it', unit: 's' },
  { figure: 'longestMs', label: 'longest stall', unit: 'ms' },
  { figure: 'loadCpuSeconds', label: 'CPU during the load', unit: 's' },
  { figure: 'peakMemoryBytes', label: 'peak memory', unit: 'bytes' },
  { figure: 'sentBytes', label: 'sent after the snapshot', unit: 'bytes' },
  { figure: 'writeRequests', label: 'requests that store', unit: 'count' },
  { figure: 'behindMs', label: 'last object, after the load', unit: 'ms' },
]

export const growthSizesBench = defineBench({
  name: 'growth-sizes',
  title: 'growth: sizes of the database, under web load',
  layout: 'cases',
  rows: [
    ...LOAD_ROWS,
    { figure: 'restoreSeconds', label: 'restore', unit: 's' },
    { figure: 'restoreMemoryBytes', label: 'memory of it', unit: 'bytes' },
  ],
  flags: {
    contenders: contendersFlag,
    sizesMb: numbers([10, 100, 1000, 10_000], 'sizes'),
    seconds: number(10, 'length of the load'),
    syncIntervalMs: number(SYNC_INTERVAL_MS, 'of the replica'),
    seed: number(1, 'of the rows'),
  },

  estimateSeconds: ({ contenders, sizesMb, seconds }) =>
    10 + contenders.length * sizesMb.reduce((sum, mb) => sum + seconds + 12 + mb / 25, 0),

  async run(stage, { contenders, sizesMb, seconds, syncIntervalMs, seed }) {
    mustHaveRoom(stage.directory, Math.max(...sizesMb) * 1e6)
    const runs: Run[] = []
    for (const mb of sizesMb) {
      for (const contender of replicatorsOf(stage, contenders)) {
        const scene = { databaseBytes: mb * 1e6, once: true, syncIntervalMs }
        const load = { kind: 'web', forMs: seconds * 1000, seed } as const
        const run = await measure(stage, contender, scene, load, 0, async (there, last) => {
          const flags = contender === 'ours' ? ['-integrity-check', 'none'] : []
          const restored = await timeRestore(there, contender, flags, last)
          return { restoreSeconds: restored.seconds, restoreMemoryBytes: restored.peakMemoryBytes }
        })
        stage.say(`growth-sizes ${mb} MB ${contender}: snapshot ${run.figures.snapshotSeconds?.toFixed(1)} s`)
        runs.push({ ...run, of: `${mb} MB` })
      }
    }
    return { runs }
  },
})

export const growthRatesBench = defineBench({
  name: 'growth-rates',
  title: 'growth: transactions a second, of 3 rows',
  layout: 'cases',
  rows: [
    { figure: 'transactionsPerSecond', label: 'transactions/s', unit: 'count' },
    { figure: 'p99Ms', label: 'commit, p99', unit: 'ms' },
    { figure: 'walPeakBytes', label: 'WAL at its peak', unit: 'bytes' },
    ...LOAD_ROWS.filter(({ figure }) => figure !== 'snapshotSeconds' && figure !== 'startCpuSeconds'),
  ],
  flags: {
    contenders: names(['bare', 'ours'], CONTENDERS, 'who is measured'),
    perSecond: numbers([1, 10, 100, 1000, 10_000], 'rates'),
    seconds: number(15, 'length of each load'),
    databaseMb: number(50, 'size of the database at the beginning'),
    syncIntervalMs: number(SYNC_INTERVAL_MS, 'of the replica'),
    seed: number(1, 'of the rows'),
  },

  estimateSeconds: ({ contenders, perSecond, seconds }) => 10 + contenders.length * perSecond.length * (seconds + 12),

  async run(stage, { contenders, perSecond, seconds, databaseMb, syncIntervalMs, seed }) {
    const runs: Run[] = []
    for (const rate of perSecond) {
      for (const contender of stage.contenders.filter((name) => contenders.includes(name))) {
        const load = { kind: 'web', forMs: seconds * 1000, seed, perSecond: rate } as const
        const run = await measure(stage, contender, { databaseBytes: databaseMb * 1e6, syncIntervalMs }, load, 0)
        stage.say(`growth-rates ${rate} tx/s ${contender}: ${run.figures.transactionsPerSecond?.toFixed(0)} tx/s`)
        runs.push({ ...run, of: `${rate} tx/s` })
      }
    }
    return { runs }
  },
})

export const growthDatabasesBench = defineBench({
  name: 'growth-databases',
  title: 'growth: databases under one replicator',
  layout: 'cases',
  rows: [
    { figure: 'snapshotsSeconds', label: 'until all have a snapshot', unit: 's' },
    { figure: 'startCpuSeconds', label: 'CPU until then', unit: 's' },
    { figure: 'idleCpuPercent', label: 'idle CPU', unit: 'percent' },
    { figure: 'idleMemoryBytes', label: 'idle memory', unit: 'bytes' },
    { figure: 'peakMemoryBytes', label: 'peak memory', unit: 'bytes' },
    { figure: 'idleRequestsPerHour', label: 'idle requests an hour', unit: 'count' },
    { figure: 'shippedSeconds', label: 'one write into each: all shipped', unit: 's' },
  ],
  flags: {
    contenders: contendersFlag,
    databases: numbers([1, 30, 300, 1000], 'how many'),
    idleSeconds: number(20, 'for which idleness is watched'),
    syncIntervalMs: number(SYNC_INTERVAL_MS, 'of each replica'),
  },

  estimateSeconds: ({ contenders, databases, idleSeconds }) =>
    10 + contenders.length * databases.reduce((sum, count) => sum + idleSeconds + 10 + count / 30, 0),

  async run(stage, { contenders, databases, ...options }) {
    const runs: Run[] = []
    for (const count of databases) {
      for (const contender of replicatorsOf(stage, contenders)) {
        const figures = await measureMany(stage, contender, { databases: count, ...options })
        stage.say(`growth-databases ${count} ${contender}: idle CPU ${figures.idleCpuPercent?.toFixed(2)} %`)
        runs.push({ contender, repetition: 0, of: `${count} databases`, figures })
      }
    }
    return { runs }
  },
})
