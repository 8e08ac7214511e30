// Benchmarks in sizes too small to mean anything: they run, and tell everything that they promise. No figure is judged.

import { afterAll, expect } from 'vitest'
import type { Bench } from '../../bench/bench.js'
import { benchesOf } from '../../bench/benches.js'
import { CONTENDERS, type Contender, LABELS } from '../../bench/contenders.js'
import type { Result } from '../../bench/result.js'
import { valuesOf } from '../../bench/result.js'
import { runBench } from '../../bench/run-bench.js'
import { formatResult } from '../../bench/table.js'
import { type PrivateMinio, privateMinio } from '../support/minio.js'
import { resource } from '../support/resources.js'

/** One store for all benchmarks of a file, which run one after the other. */
let store: Promise<PrivateMinio> | undefined
afterAll(async () => (await store)?.remove())

export function benchOf(name: string): Bench {
  const [bench] = benchesOf(name) ?? []
  if (!bench) throw new Error(`no such benchmark: ${name}`)
  return bench
}

/** Where 0.5.17 cannot be had, a benchmark goes on without it. */
export async function present(...contenders: Contender[]): Promise<Contender[]> {
  const newer = (await resource('litestream05')) !== ''
  return CONTENDERS.filter((name) => contenders.includes(name) && (newer || name !== 'litestream-0.5.17'))
}

/** Figures that only who replicates has. */
const NOT_OF_BARE =
  /^(foreign|startCpu|loadCpu|caughtUpCpu|peakMemory|snapshot|sent|writeRequests|behind|complete|lost)/
/** Figures that not everybody has: another command, another way. */
const NOT_OF_ALL: readonly string[] = [
  'litestream-0.3.13 planSeconds',
  'litestream-0.3.13 planMemoryBytes',
  'litestream-0.3.13 pastPlanSeconds',
  'litestream-0.3.13 retentionSeconds',
  'litestream-0.3.13 retentionMemoryBytes',
  'litestream-0.5.17 snapshotsMs',
  'litestream-0.3.13 checkedSeconds',
  'litestream-0.5.17 checkedSeconds',
]

/** Runs it in this process, and checks the table. */
export async function smoke(
  name: string,
  given: Readonly<Record<string, string>>,
): Promise<{ result: Result; table: string }> {
  const said: string[] = []
  const bench = benchOf(name)
  store ??= privateMinio()
  const result = await runBench(bench, given, (text) => said.push(text), await store)
  expect(said[0]).toMatch(/: about \d+ (s|minutes)$/)
  return { result, table: checkTable(bench, result) }
}

/** Every row that is promised has a finite number for every contender that it concerns, and the table shows them all. */
export function checkTable(bench: Bench, result: Result): string {
  const contenders = [...new Set(result.runs.map(({ contender }) => contender))]
  // Without kills, nothing is told of them.
  const rows = bench.rows.filter(({ figure }) => result.settings.kills !== 0 || !figure.startsWith('lost'))
  const missing = rows.flatMap(({ figure }) =>
    contenders.flatMap((contender) => {
      if (contender === 'bare' && NOT_OF_BARE.test(figure)) return []
      if (NOT_OF_ALL.includes(`${contender} ${figure}`)) return []
      const values = valuesOf(result.runs, figure, { contender })
      return values.length > 0 && values.every(Number.isFinite) ? [] : [`${contender} ${figure}: ${values}`]
    }),
  )
  expect(missing).toEqual([])
  const table = formatResult(bench, result)
  for (const contender of contenders) expect(table).toContain(LABELS[contender])
  for (const { label } of rows) expect(table).toContain(label)
  expect(table).not.toMatch(/NaN|undefined|Infinity|\[object/)
  return table
}
