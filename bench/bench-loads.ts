// The three loads, each a benchmark: the bare application, the real Litestreams and ours in turn; then everything is killed.

import { Random } from '../test/crash/random.js'
import { type Aim, atLeast, atMost, type Bench, defineBench, type Row } from './bench.js'
import { CONTENDERS, type Contender, SYNC_INTERVAL_MS } from './contenders.js'
import { BIG_PAUSE_MS, type LoadKind } from './loads.js'
import { loseEverything } from './loss.js'
import { measure } from './measure.js'
import type { Run } from './result.js'
import { names, number } from './settings.js'
import { turned } from './statistics.js'

const COMPARED = CONTENDERS.filter((contender) => contender !== 'ours-read-only')
/** A kill comes at a random moment between these shares of the load's length. */
const KILL_BETWEEN = { from: 0.25, to: 0.625 }

const TITLES: Readonly<Record<LoadKind, string>> = {
  web: 'web: 121 transactions a second of 3 rows',
  flat: 'flat: transactions of 10 rows without a pause',
  big: 'big: transactions of 20,000 rows, 500 ms apart',
}
const SECONDS: Readonly<Record<LoadKind, number>> = { web: 15, flat: 10, big: 10 }

const MB = 1e6
const interval = (settings: Readonly<Record<string, unknown>>) => settings.syncIntervalMs as number
const bareStall = (extraMs: number) => atMost(`bare + ${extraMs} ms`, (median) => median('bare', 'longestMs') + extraMs)
const shareOf = (contender: Contender, share: number, figure: string) =>
  atMost(`${share} of ${contender.replace('litestream-', '')}'s`, (median) => share * median(contender, figure))
const lostAtMost = (extraMs: number) =>
  atMost(`sync-interval + ${extraMs} ms`, (_, settings) => interval(settings) + extraMs)

/** The aims of each load, by figure. */
const AIMS: Readonly<Record<LoadKind, Readonly<Record<string, Aim>>>> = {
  web: {
    longestMs: bareStall(5),
    caughtUpCpuSeconds: atMost('0.5 s', () => 0.5),
    peakMemoryBytes: atMost('110 MB', () => 110 * MB),
    sentBytes: shareOf('litestream-0.3.13', 0.8, 'sentBytes'),
    lostMs: lostAtMost(300),
  },
  flat: {
    transactionsPerSecond: atLeast('0.97 of bare', (median) => 0.97 * median('bare', 'transactionsPerSecond')),
    longestMs: bareStall(30),
    walPeakBytes: atMost('128 MB', () => 128 * MB),
    sentBytes: shareOf('litestream-0.5.17', 0.2, 'sentBytes'),
    lostMs: lostAtMost(500),
    caughtUpCpuSeconds: atMost('10 s', () => 10),
  },
  big: {
    sentBytes: shareOf('litestream-0.3.13', 0.8, 'sentBytes'),
    lostMs: atMost(
      'sync-interval + one transaction',
      (median, settings) => interval(settings) + BIG_PAUSE_MS + median('ours', 'longestMs'),
    ),
  },
}

const ROWS: readonly Row[] = [
  { figure: 'transactionsPerSecond', label: 'transactions/s', unit: 'count' },
  { figure: 'p50Ms', label: 'commit, p50', unit: 'ms' },
  { figure: 'p99Ms', label: 'commit, p99', unit: 'ms' },
  { figure: 'longestMs', label: 'longest stall', unit: 'ms' },
  { figure: 'failedTransactions', label: 'failed transactions', unit: 'count', over: 'sum' },
  { figure: 'walPeakBytes', label: 'WAL at its peak', unit: 'bytes' },
  { figure: 'foreignBytes', label: 'other files on its volume', unit: 'bytes' },
  { figure: 'startCpuSeconds', label: 'CPU: start and first snapshot', unit: 's' },
  { figure: 'loadCpuSeconds', label: 'CPU: during the load', unit: 's' },
  { figure: 'caughtUpCpuSeconds', label: 'CPU: load and catching up', unit: 's' },
  { figure: 'peakMemoryBytes', label: 'peak memory', unit: 'bytes' },
  { figure: 'snapshotBytes', label: 'first snapshot', unit: 'bytes' },
  { figure: 'sentBytes', label: 'sent after it', unit: 'bytes' },
  { figure: 'writeRequests', label: 'requests that store', unit: 'count' },
  { figure: 'behindMs', label: 'last object, after the load', unit: 'ms' },
  { figure: 'complete', label: 'replica complete in the end', unit: 'yes' },
  { figure: 'lostMs', label: 'lost when everything dies', unit: 'ms', over: 'worst' },
  { figure: 'lostTransactions', label: 'lost, in transactions', unit: 'count', over: 'worst' },
  { figure: 'lostAll', label: 'lost all since the first snapshot', unit: 'yes' },
]

const FLAGS = (kind: LoadKind) => ({
  contenders: names(COMPARED, CONTENDERS, 'who is compared'),
  pairs: number(3, 'rounds in which each contender has its turn'),
  seconds: number(SECONDS[kind], 'length of the load'),
  kills: number(4, 'rounds in which everything is killed, at random moments from 1/4 to 5/8 of the load'),
  databaseMb: number(50, 'size of the database at the beginning'),
  syncIntervalMs: number(SYNC_INTERVAL_MS, 'of the replica'),
  seed: number(1, 'of rows and moments'),
})

/** What it takes around a load, from what was seen on two cores: copies, start, snapshot, coming to rest, restore. */
const AROUND_SECONDS = { run: 11, kill: 6 }
/** How long 0.3.13 goes on behind the load until it is complete. */
const BEHIND_SECONDS: Readonly<Record<LoadKind, number>> = { web: 0, flat: 25, big: 2 }

function loadBench(kind: LoadKind): Bench {
  return defineBench({
    name: kind,
    title: TITLES[kind],
    layout: 'contenders',
    rows: ROWS.map((row) => {
      const aim = AIMS[kind][row.figure]
      return aim ? { ...row, aim } : row
    }),
    flags: FLAGS(kind),

    estimateSeconds({ contenders, pairs, seconds, kills }) {
      const replicators = contenders.filter((contender) => contender !== 'bare').length
      const runs = pairs * (contenders.length * (seconds + AROUND_SECONDS.run) + BEHIND_SECONDS[kind])
      return 10 + runs + kills * replicators * (seconds * 0.45 + AROUND_SECONDS.kill)
    },

    async run(stage, { contenders, pairs, seconds, kills, databaseMb, syncIntervalMs, seed }) {
      const runs: Run[] = []
      const scene = { databaseBytes: databaseMb * MB, syncIntervalMs }
      const there = stage.contenders.filter((contender) => contenders.includes(contender))
      for (let pair = 0; pair < pairs; pair++) {
        const load = { kind, forMs: seconds * 1000, seed: seed + pair }
        for (const contender of turned(there, pair)) {
          const run = await measure(stage, contender, scene, load, pair)
          const { transactionsPerSecond = 0, longestMs = 0, complete } = run.figures
          const stall = `longest ${longestMs.toFixed(1)} ms${complete === 0 ? ', NOT complete' : ''}`
          stage.say(`${kind} ${pair + 1}/${pairs} ${contender}: ${transactionsPerSecond.toFixed(0)} tx/s, ${stall}`)
          runs.push(run)
        }
      }
      const random = new Random(seed)
      for (let kill = 0; kill < kills; kill++) {
        const share = KILL_BETWEEN.from + random.next() * (KILL_BETWEEN.to - KILL_BETWEEN.from)
        const when = { killedAfterMs: Math.round(seconds * 1000 * share), repetition: pairs + kill }
        for (const contender of turned(
          there.filter((name) => name !== 'bare'),
          kill,
        )) {
          const run = await loseEverything(stage, contender, scene, { kind, seed: seed + kill }, when)
          const { lostMs = 0, lostTransactions = 0 } = run.figures
          stage.say(
            `${kind} kill ${kill + 1}/${kills} ${contender}: after ${when.killedAfterMs} ms, lost ${lostMs.toFixed(0)} ms, ${lostTransactions} transactions`,
          )
          runs.push(run)
        }
      }
      return { runs }
    },
  })
}

export const webBench = loadBench('web')
export const flatBench = loadBench('flat')
export const bigBench = loadBench('big')
