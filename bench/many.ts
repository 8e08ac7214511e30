// Many small databases under one replicator: until all have a snapshot, what it uses while nothing happens, and how long it takes
// until a write into each is shipped. The databases are open in one application that is idle.
//
// The store's counters are asked instead of listings where time is taken, because they cost next to nothing; a listing is the proof.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../test/support/observer/child.js'
import { mustRun } from '../test/support/process.js'
import { atMost, defineBench } from './bench.js'
import { isSnapshot, listBucket, removeBucket } from './bucket.js'
import { CONTENDERS, type Contender, type Replicator, startReplicator, writeConfig } from './contenders.js'
import type { Run } from './result.js'
import { names, number } from './settings.js'
import type { Stage } from './stage.js'
import { turned } from './statistics.js'
import { requestsIn, type Traffic, trafficBetween, trafficOf, writesIn } from './traffic.js'

const REPLICATORS = ['litestream-0.3.13', 'litestream-0.5.17', 'ours'] as const
const POLL_MS = 20
const PATIENCE_MS = 600_000

export interface ManyOptions {
  readonly databases: number
  readonly idleSeconds: number
  readonly syncIntervalMs: number
}

/** Of a key of the configuration below. */
const databaseOf = (key: string): string => key.slice(0, key.indexOf('/'))

/** Later levels of 0.5's layout repeat what the first one has. */
const isRepetition = (key: string): boolean => /\/000[1-9]\/[^/]+\.ltx$/.test(key)

export async function measureMany(
  stage: Stage,
  contender: Contender,
  { databases, idleSeconds, syncIntervalMs }: ManyOptions,
): Promise<Record<string, number>> {
  const { minio } = stage
  const directory = mkdtempSync(join(stage.directory, 'many-'))
  const volume = join(directory, 'volume')
  mkdirSync(volume)
  const place = { volume, configPath: join(directory, 'litestream.yml') }
  const application = startChild(stage.application)
  const bucket = await minio.createBucket('bench')
  let replicator: Replicator | undefined
  try {
    const paths = await application.call<string[]>('openMany', { directory: volume, databases })
    const replications = paths.map((databasePath, i) => ({ databasePath, bucket, path: `app-${i}` }))
    writeConfig(place.configPath, minio, replications, syncIntervalMs)
    await mustRun('sync', [], { timeoutMs: PATIENCE_MS })

    /** Milliseconds until the store has been written to often enough, and a listing finds an object for each database. */
    const untilAll = async (before: Traffic, beganMs: number, isWanted: (key: string) => boolean): Promise<number> => {
      for (let hopeful = false; ; ) {
        replicator?.usage() // throws when it has ended
        hopeful ||= writesIn(trafficBetween(before, await trafficOf(minio))) >= databases
        const nowMs = performance.now()
        if (nowMs - beganMs > PATIENCE_MS) throw new Error(`${contender} has not finished:\n${replicator?.output()}`)
        if (hopeful) {
          const found = new Set<string>()
          for await (const { key } of listBucket(minio, bucket)) if (isWanted(key)) found.add(databaseOf(key))
          if (found.size === databases) return nowMs - beganMs
        }
        await sleep(POLL_MS)
      }
    }
    const rest = async (quietMs: number): Promise<void> => {
      for (let [last, sinceMs] = [-1, 0]; last < 0 || performance.now() - sinceMs < quietMs; ) {
        const count = writesIn(await trafficOf(minio))
        if (count !== last) [last, sinceMs] = [count, performance.now()]
        await sleep(5 * POLL_MS)
      }
    }

    const nothing = await trafficOf(minio)
    const startedMs = performance.now()
    replicator = await startReplicator(contender, place)
    if (!replicator) throw new Error('the bare application replicates nothing')
    const snapshotsMs = await untilAll(nothing, startedMs, isSnapshot)
    await rest(3 * syncIntervalMs)
    const atRest = { usage: replicator.usage(), traffic: await trafficOf(minio) }
    await sleep(idleSeconds * 1000)
    const afterwards = { usage: replicator.usage(), traffic: await trafficOf(minio) }

    const known = new Set<string>()
    for await (const { key } of listBucket(minio, bucket)) known.add(key)
    const listed = await trafficOf(minio)
    const writtenMs = performance.now()
    // The application writes while the store is watched.
    const shipped = untilAll(listed, writtenMs, (key) => !known.has(key) && !isRepetition(key))
    const [shippedMs] = await Promise.all([shipped, application.call('writeEach')])
    const { peakMemoryBytes } = replicator.usage()
    return {
      snapshotsSeconds: snapshotsMs / 1000,
      startCpuSeconds: atRest.usage.cpuSeconds,
      idleCpuPercent: ((afterwards.usage.cpuSeconds - atRest.usage.cpuSeconds) / idleSeconds) * 100,
      idleMemoryBytes: afterwards.usage.residentBytes,
      peakMemoryBytes,
      idleRequestsPerHour: (requestsIn(trafficBetween(atRest.traffic, afterwards.traffic)) / idleSeconds) * 3600,
      shippedSeconds: shippedMs / 1000,
    }
  } finally {
    replicator?.kill()
    await Promise.all([application.kill(), replicator?.gone])
    rmSync(directory, { recursive: true, force: true })
    await removeBucket(minio, bucket)
  }
}

export const manyBench = defineBench({
  name: 'many',
  title: 'many: small databases under one replicator',
  layout: 'contenders',
  rows: [
    {
      figure: 'snapshotsSeconds',
      label: 'until all have a snapshot',
      unit: 's',
      aim: atMost('3 s', () => 3),
    },
    { figure: 'startCpuSeconds', label: 'CPU until then', unit: 's' },
    { figure: 'idleCpuPercent', label: 'idle CPU', unit: 'percent', aim: atMost('2 %', () => 2) },
    { figure: 'idleMemoryBytes', label: 'idle memory', unit: 'bytes', aim: atMost('200 MB', () => 200e6) },
    { figure: 'peakMemoryBytes', label: 'peak memory', unit: 'bytes' },
    { figure: 'idleRequestsPerHour', label: 'idle requests an hour', unit: 'count', aim: atMost('none', () => 0) },
    {
      figure: 'shippedSeconds',
      label: 'one write into each: all shipped',
      unit: 's',
      aim: atMost('1.7 s', () => 1.7),
    },
  ],
  flags: {
    contenders: names(REPLICATORS, CONTENDERS, 'who is compared'),
    pairs: number(3, 'rounds in which each contender has its turn'),
    databases: number(300, 'how many'),
    idleSeconds: number(30, 'for which idleness is watched'),
    syncIntervalMs: number(1000, 'of each replica'),
  },

  estimateSeconds: ({ contenders, pairs, databases, idleSeconds }) =>
    10 + pairs * contenders.length * (idleSeconds + 12 + databases / 50),

  async run(stage, { contenders, pairs, ...options }) {
    const runs: Run[] = []
    const there = stage.contenders.filter((contender) => contender !== 'bare' && contenders.includes(contender))
    for (let pair = 0; pair < pairs; pair++) {
      for (const contender of turned(there, pair)) {
        const figures = await measureMany(stage, contender, options)
        const { snapshotsSeconds = 0, idleCpuPercent = 0, shippedSeconds = 0 } = figures
        stage.say(
          `many ${pair + 1}/${pairs} ${contender}: snapshots ${snapshotsSeconds.toFixed(1)} s, idle ${idleCpuPercent.toFixed(1)} %, shipped ${shippedSeconds.toFixed(1)} s`,
        )
        runs.push({ contender, repetition: pair, figures })
      }
    }
    return { runs }
  },
})
