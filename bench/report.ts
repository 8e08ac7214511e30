// A comparison as Markdown tables: medians over the repetitions, and ratios to the bare application as the median of the ratios
// within each repetition.

import type { CheckpointMeasurement } from './checkpoints.js'
import type { Comparison } from './compare.js'
import { CONTENDERS, type Contender } from './contenders.js'
import type { LoadKind } from './loads.js'
import type { Loss } from './loss.js'
import type { Measurement, ReplicatorMeasurement } from './measure.js'
import { median } from './statistics.js'

const LABELS: Readonly<Record<Contender, string>> = {
  bare: 'bare application',
  'litestream-0.3.13': 'with Litestream 0.3.13',
  ours: 'with ours',
  'ours-read-only': 'with ours, read-only mount',
}

const TITLES: Readonly<Record<LoadKind, string>> = {
  flat: 'flat: transactions of 10 rows without a pause',
  web: 'web: 121 transactions a second of 3 rows',
}

const grouped = (value: number) => Math.round(value).toLocaleString('en-US')
const milliseconds = (value: number) => `${value < 100 ? Number(value.toPrecision(2)) : grouped(value)} ms`
const seconds = (value: number) => `${value.toFixed(2)} s`
const megabytes = (value: number) => `${value < 1e7 ? (value / 1e6).toFixed(1) : grouped(value / 1e6)} MB`

type Cell = (runs: readonly Measurement[], bare: readonly Measurement[]) => string

const middle =
  (of: (run: Measurement) => number, format: (value: number) => string): Cell =>
  (runs) =>
    format(median(runs.map(of)))

const ofReplicator =
  (of: (replicator: ReplicatorMeasurement) => number, format: (value: number) => string): Cell =>
  (runs) => {
    const values = runs.flatMap(({ replicator }) => (replicator ? [of(replicator)] : []))
    return values.length === 0 ? '' : format(median(values))
  }

const ratio: Cell = (runs, bare) => {
  const ratios = runs.flatMap((run) => {
    const pair = bare.find(({ repetition }) => repetition === run.repetition)
    return pair ? [run.transactionsPerSecond / pair.transactionsPerSecond] : []
  })
  return median(ratios).toFixed(2)
}

const complete: Cell = (runs) => {
  const replicators = runs.flatMap(({ replicator }) => replicator ?? [])
  const ended = replicators.filter((replicator) => replicator.complete)
  return replicators.length === 0 ? '' : `${ended.length} of ${replicators.length}`
}

const ROWS: readonly (readonly [name: string, cell: Cell])[] = [
  ['transactions/s', middle((run) => run.transactionsPerSecond, grouped)],
  ['of the bare application', ratio],
  ['commit, p50', middle((run) => run.p50Ms, milliseconds)],
  ['commit, p99', middle((run) => run.p99Ms, milliseconds)],
  ['longest stall', middle((run) => run.longestMs, milliseconds)],
  ['WAL at its peak', middle((run) => run.walPeakBytes, megabytes)],
  ['other files on its volume', ofReplicator((of) => of.foreignBytes, megabytes)],
  ['CPU: start and first snapshot', ofReplicator((of) => of.startCpuSeconds, seconds)],
  ['CPU: during the load', ofReplicator((of) => of.loadCpuSeconds, seconds)],
  ['CPU: load and catching up', ofReplicator((of) => of.caughtUpCpuSeconds, seconds)],
  ['peak memory', ofReplicator((of) => of.peakMemoryBytes, megabytes)],
  ['first snapshot', ofReplicator((of) => of.snapshotBytes, megabytes)],
  ['sent after it', ofReplicator((of) => of.sentBytes, megabytes)],
  ['objects', ofReplicator((of) => of.sentObjects, grouped)],
  ['last object, after the load', ofReplicator((of) => of.behindMs, milliseconds)],
  ['replica complete in the end', complete],
]

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

const presentIn = (of: readonly { readonly contender: Contender }[]) =>
  CONTENDERS.filter((name) => of.some(({ contender }) => contender === name))

function loadTable(measurements: readonly Measurement[], losses: readonly Loss[]): string {
  const contenders = presentIn([...measurements, ...losses])
  const runsOf = (name: Contender) => measurements.filter(({ contender }) => contender === name)
  const rows = measurements.length === 0 ? [] : ROWS
  return table(
    ['', ...contenders.map((name) => LABELS[name])],
    [
      ...rows.map(([name, cell]) => [name, ...contenders.map((each) => cell(runsOf(each), runsOf('bare')))]),
      ...lossRows(losses, contenders),
    ],
  )
}

function lossRows(losses: readonly Loss[], contenders: readonly Contender[]): string[][] {
  if (losses.length === 0) return []
  const kills = losses.filter(({ contender }) => contender === losses[0]?.contender).length
  const row = (name: string, cell: (of: readonly Loss[]) => string) => [
    name,
    ...contenders.map((each) => {
      const own = losses.filter(({ contender }) => contender === each)
      return own.length === 0 ? '' : cell(own)
    }),
  ]
  const least = (of: readonly Loss[]) => Math.min(...of.map(({ lostMs }) => lostMs))
  const most = (of: readonly Loss[]) => Math.max(...of.map(({ lostMs }) => lostMs))
  return [
    row(`lost when everything dies (${kills} kills)`, (of) => `${grouped(least(of))} to ${milliseconds(most(of))}`),
    row('in transactions, at most', (of) => grouped(Math.max(...of.map(({ lostTransactions }) => lostTransactions)))),
    row('all since the first snapshot', (of) => `${of.filter(({ lostAll }) => lostAll).length} of ${of.length}`),
  ]
}

function checkpointTable(measurements: readonly CheckpointMeasurement[]): string {
  const contenders = presentIn(measurements)
  const patterns = [...new Set(measurements.map(({ pattern }) => pattern))]
  const cell = (pattern: string, name: Contender) => {
    const own = measurements.filter((of) => of.pattern === pattern && of.contender === name)
    const longest = Math.max(...own.map(({ longestCheckpointMs }) => longestCheckpointMs))
    const failed = own.reduce((sum, { failedCheckpoints }) => sum + failedCheckpoints, 0)
    const all = own.reduce((sum, { checkpoints }) => sum + checkpoints, 0)
    return `${milliseconds(longest)}, ${failed} of ${all} failed`
  }
  const rows = patterns.map((pattern) => [pattern, ...contenders.map((name) => cell(pattern, name))])
  return table(['longest checkpoint', ...contenders.map((name) => LABELS[name])], rows)
}

export function formatComparison({ machine, options, measurements, losses, checkpoints, ...run }: Comparison): string {
  const { cores, processor, memoryBytes, kernel, node, sqlite } = machine
  const parts = [
    `${cores} cores (${processor}), ${Math.round(memoryBytes / 2 ** 30)} GiB of memory, ${kernel}, Node ${node}, SQLite ${sqlite}; MinIO on the same machine (${machine.minio}). ` +
      `Database of ${megabytes(options.databaseBytes)}, sync-interval ${run.syncIntervalMs} ms, loads of ${options.loadMs / 1000} s, medians of ${options.repetitions}; ` +
      `seed ${options.seed}, ${run.startedAt.slice(0, 10)}, ${run.elapsedSeconds} s in all.`,
  ]
  for (const kind of ['flat', 'web'] as const) {
    const measured = measurements.filter(({ load }) => load === kind)
    const lost = losses.filter(({ load }) => load === kind)
    if (measured.length + lost.length > 0) parts.push(`### ${TITLES[kind]}`, loadTable(measured, lost))
  }
  if (checkpoints.length > 0) parts.push("### The application's own checkpoints", checkpointTable(checkpoints))
  return `${parts.join('\n\n')}\n`
}
