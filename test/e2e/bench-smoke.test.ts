// The benchmarks run and tell everything that they promise, in sizes too small to mean anything. No figure is judged here.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Comparison } from '../../bench/compare.js'
import { projectRoot } from '../support/make-dist.js'
import { needNamespaces } from '../support/observer/child.js'
import { run } from '../support/process.js'
import { tempDirectory } from '../support/temp.js'

const bench = (...args: string[]) =>
  run(process.execPath, [join(projectRoot, 'bench', 'run.mjs'), ...args], { timeoutMs: 280_000 })

/** Every number below `value`, with the way to it. */
function* numbersIn(value: unknown, path = ''): Generator<[path: string, value: number]> {
  if (typeof value === 'number') yield [path, value]
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) yield* numbersIn(inner, `${path}/${key}`)
}

test('compare measures every contender and writes its tables', { timeout: 300_000 }, async (context) => {
  needNamespaces(context)
  const directory = tempDirectory('bench')
  const json = join(directory, 'compare.json')
  const page = join(directory, 'page.md')
  writeFileSync(page, 'before\n<!-- compare -->\nold\n<!-- /compare -->\nbehind\n')
  const sizes = '--repetitions 1 --seconds 1 --kills 1 --checkpoint-seconds 1 --patterns restart-web --database-mb 1'
  const result = await bench('compare', ...sizes.split(' '), '--json', json, '--write', page)
  expect(result.code, result.stderr).toBe(0)

  const { measurements, losses, checkpoints, ...about } = JSON.parse(readFileSync(json, 'utf8')) as Comparison
  const three = ['bare', 'litestream-0.3.13', 'ours']
  expect(measurements.map(({ load, contender }) => `${load} ${contender}`)).toEqual(
    ['flat', 'web'].flatMap((load) => three.map((contender) => `${load} ${contender}`)),
  )
  for (const { contender, transactions, p99Ms, walPeakBytes, replicator } of measurements) {
    expect([transactions > 0, p99Ms > 0, walPeakBytes > 0], contender).toEqual([true, true, true])
    expect(replicator !== undefined, contender).toBe(contender !== 'bare')
    if (!replicator) continue
    const { complete, peakMemoryBytes, snapshotBytes, sentBytes, sentObjects } = replicator
    expect(complete, `${contender}: a restore gives the newest transaction`).toBe(true)
    expect(Math.min(peakMemoryBytes, snapshotBytes, sentBytes, sentObjects), contender).toBeGreaterThan(0)
  }
  expect(losses.map(({ load, contender }) => `${load} ${contender}`)).toEqual(
    ['flat', 'web'].flatMap((load) => three.slice(1).map((contender) => `${load} ${contender}`)),
  )
  for (const { contender, acknowledged } of losses) expect(acknowledged.transaction, contender).toBeGreaterThan(0)
  expect(checkpoints.map(({ contender }) => contender)).toEqual([...three, 'ours-read-only'])
  for (const of of checkpoints) expect(of.checkpoints, of.contender).toBeGreaterThan(0)
  const odd = [...numbersIn({ measurements, losses, checkpoints, ...about })].filter(([, value]) => !(value >= 0))
  expect(odd).toEqual([])

  const tables = result.stdout
  for (const label of ['bare application', 'with Litestream 0.3.13', 'with ours', 'with ours, read-only mount']) {
    expect(tables).toContain(`| ${label} |`)
  }
  for (const row of ['transactions/s', 'longest stall', 'peak memory', 'lost when everything dies', 'restart-web']) {
    expect(tables).toContain(`| ${row}`)
  }
  expect(tables).not.toMatch(/NaN|undefined|Infinity|\[object/)
  expect(readFileSync(page, 'utf8')).toBe(`before\n<!-- compare -->\n\n${tables}\n<!-- /compare -->\nbehind\n`)
})

test('what is not known is refused before anything is started', async () => {
  const [benchmark, part] = await Promise.all([bench('sing'), bench('compare', '--only', 'flat,flut')])
  expect([benchmark.code, benchmark.stdout]).toEqual([1, ''])
  expect(benchmark.stderr).toMatch(/^usage: npm run bench -- compare/)
  expect([part.code, part.stderr]).toEqual([1, '--only flut: expected one of flat, web, loss, checkpoints\n'])
})
