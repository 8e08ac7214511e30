// `npm run bench -- cost`: the table of docs/cost.md, or one line for a workload of your own. Nothing is measured.

import { costOf, DEFAULT_POLICY, dollarsOf, type Policy, PRICES, type Workload } from './cost-model.js'
import { number, parseSettings } from './settings.js'
import { table } from './table.js'
import { format, grouped } from './units.js'

export const COST_FLAGS = {
  transactionsPerSecond: number(121, 'while it is written'),
  activeHours: number(24, 'of a day in which it is written'),
  pagesPerTransaction: number(2.1, 'that one transaction changes'),
  hotPages: number(12_500, 'among which those are'),
  databaseMb: number(50, 'size of the database'),
  syncIntervalSeconds: number(DEFAULT_POLICY.syncIntervalSeconds, 'of the replica'),
  retentionHours: number(DEFAULT_POLICY.retentionHours, 'of the replica'),
  snapshotIntervalHours: number(DEFAULT_POLICY.snapshotIntervalHours, 'of the replica'),
  retentionCheckHours: number(DEFAULT_POLICY.retentionCheckHours, 'of the replica'),
} as const

interface Case {
  readonly name: string
  readonly workload: Workload
  readonly policy?: Partial<Policy>
}

const blog = {
  transactionsPerSecond: 0.01,
  activeHours: 24,
  pagesPerTransaction: 4,
  hotPages: 2500,
  databaseBytes: 10e6,
}
const shop = {
  transactionsPerSecond: 1,
  activeHours: 12,
  pagesPerTransaction: 5,
  hotPages: 25_000,
  databaseBytes: 200e6,
}
const web = {
  transactionsPerSecond: 121,
  activeHours: 24,
  pagesPerTransaction: 2.1,
  hotPages: 12_500,
  databaseBytes: 50e6,
}
const flat = {
  transactionsPerSecond: 1000,
  activeHours: 24,
  pagesPerTransaction: 7,
  hotPages: 250_000,
  databaseBytes: 1e9,
}

const CASES: readonly Case[] = [
  { name: 'nothing is written', workload: { ...blog, transactionsPerSecond: 0, activeHours: 0 } },
  { name: 'a blog: 10 MB, one write in 100 s', workload: blog },
  { name: 'a shop: 200 MB, one a second, half the day', workload: shop },
  { name: '*web*: 50 MB, 121 a second', workload: web },
  { name: '*web*, `sync-interval: 10s`', workload: web, policy: { syncIntervalSeconds: 10 } },
  { name: '*web*, `sync-interval: 1m`', workload: web, policy: { syncIntervalSeconds: 60 } },
  {
    name: '*web*, `retention: 720h`, `snapshot-interval: 24h`',
    workload: web,
    policy: { retentionHours: 720, snapshotIntervalHours: 24 },
  },
  { name: '1 GB, 1,000 a second', workload: flat },
]

function lineOf(name: string, workload: Workload, policy: Policy): string[] {
  const cost = costOf(workload, policy)
  const dollars = Object.values(PRICES).map((prices) => format('dollars', dollarsOf(cost, prices)))
  const requests = [cost.puts, cost.lists, cost.gets].map(grouped)
  return [
    name,
    ...requests,
    gigabytes(cost.sentBytes),
    gigabytes(cost.storedBytes),
    `${(cost.cpuSeconds / 3600).toFixed(1)} h`,
    ...dollars,
  ]
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`

/** A line for each case; with flags, the one that they describe. */
export function costTable(given: Readonly<Record<string, string>> = {}): string {
  const head = ['a month', 'PUT', 'LIST', 'GET', 'sent', 'stored', 'CPU', ...Object.keys(PRICES)]
  if (Object.keys(given).length === 0) {
    return table(
      head,
      CASES.map(({ name, workload, policy }) => lineOf(name, workload, { ...DEFAULT_POLICY, ...policy })),
    )
  }
  const { databaseMb, ...settings } = parseSettings(COST_FLAGS, given)
  return table(head, [lineOf('as given', { ...settings, databaseBytes: databaseMb * 1e6 }, settings)])
}
