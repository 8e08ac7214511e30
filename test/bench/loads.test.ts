// The loads and the application's own checkpoints, and the command line that all benchmarks share.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseCommandLine } from '../../bench/command-line.js'
import type { Result } from '../../bench/result.js'
import { runBench } from '../../bench/run-bench.js'
import { formatResult } from '../../bench/table.js'
import { projectRoot } from '../support/make-dist.js'
import { needNamespaces } from '../support/observer/child.js'
import { run } from '../support/process.js'
import { tempDirectory } from '../support/temp.js'
import { benchOf, checkTable, present, smoke } from './smoke.js'

const bench = (...args: string[]) =>
  run(process.execPath, [join(projectRoot, 'bench', 'run.mjs'), ...args], { timeoutMs: 280_000 })

test('web, by the command: every contender, its table, its file and its place in a document', {
  timeout: 300_000,
}, async () => {
  const directory = tempDirectory('bench')
  const json = join(directory, 'web.json')
  const page = join(directory, 'page.md')
  writeFileSync(page, 'before\n<!-- bench web -->\nold\n<!-- /bench web -->\nbehind\n')
  const sizes = '--pairs 1 --seconds 0.5 --kills 0 --database-mb 1 --sync-interval-ms 100'
  const ran = await bench('web', ...sizes.split(' '), '--json', json, '--write', page)
  expect(ran.code, ran.stderr).toBe(0)

  const result = JSON.parse(readFileSync(json, 'utf8')) as Result
  const there = await present('bare', 'litestream-0.3.13', 'litestream-0.5.17', 'ours')
  const loads = result.runs.filter(({ figures }) => 'transactions' in figures)
  expect(loads.map(({ contender }) => contender)).toEqual(there)
  for (const { contender, figures } of loads) {
    expect(figures.transactions, contender).toBeGreaterThan(0)
    if (contender === 'bare') continue
    expect(figures.complete, `${contender}: a restore gives the newest transaction`).toBe(1)
    const { peakMemoryBytes, snapshotBytes, sentBytes, writeRequests } = figures
    for (const value of [peakMemoryBytes, snapshotBytes, sentBytes, writeRequests]) {
      expect(value, contender).toBeGreaterThan(0)
    }
  }
  expect(checkTable(benchOf('web'), result)).toBe(ran.stdout)
  expect(ran.stdout).toMatch(/\| longest stall .* at most bare \+ 5 ms \(.* \| (\*\*does not hold\*\*|holds) \|/)
  expect(readFileSync(page, 'utf8')).toBe(`before\n<!-- bench web -->\n\n${ran.stdout}\n<!-- /bench web -->\nbehind\n`)
})

test.each(['flat', 'big'])('%s', { timeout: 120_000 }, async (name) => {
  const given = {
    contenders: 'bare,ours',
    pairs: '1',
    seconds: '0.5',
    kills: name === 'flat' ? '1' : '0',
    databaseMb: '1',
    syncIntervalMs: '100',
  }
  const { result, table } = await smoke(name, given)
  expect(result.runs.map(({ contender, figures }) => `${contender}${'lostMs' in figures ? ', killed' : ''}`)).toEqual([
    'bare',
    'ours',
    ...(name === 'flat' ? ['ours, killed'] : []),
  ])
  expect(table).toContain('cannot be told') // the aim in bytes, without who it is compared with
})

test('checkpoints, on a read-only mount as well', { timeout: 120_000 }, async (context) => {
  needNamespaces(context)
  const checkpoints = benchOf('checkpoints')
  const patterns = 'restart-web'
  const given = { contenders: 'bare,ours-read-only', patterns, seconds: '0.7', databaseMb: '1', syncIntervalMs: '100' }
  const result = await runBench(checkpoints, given, () => {})
  expect(result.runs.map(({ contender }) => contender)).toEqual(['bare', 'ours-read-only'])
  for (const { figures } of result.runs) expect(figures.checkpoints).toBeGreaterThan(0)
  const table = formatResult(checkpoints, result)
  expect(table).toMatch(/\| restart-web: longest wait \| \S+ ms \| \S+ ms \|/)
})

test('what is not known is refused before anything is started', async () => {
  const ran = await bench('sing')
  expect([ran.code, ran.stdout]).toEqual([1, ''])
  expect(ran.stderr).toMatch(/^usage: npm run bench -- NAME \[flags\]\n\nweb: /)
  expect(() => parseCommandLine(['compare', '--size', '1'])).toThrow('unknown flag: --size')
  expect(() => parseCommandLine(['compare', 'web'])).toThrow('unexpected: web')
  expect(() => parseCommandLine(['web', '--pairs'])).toThrow('--pairs: a value is missing')
  expect(() => parseCommandLine(['web', '--pairs', 'x'])).toThrow('--pairs x: expected a number, 0 or above')
  expect(() => parseCommandLine(['flat', '--contenders=ours,theirs'])).toThrow(
    '--contenders theirs: expected one of bare, litestream-0.3.13, litestream-0.5.17, ours, ours-read-only',
  )
  const line = parseCommandLine(['compare', '--database-mb', '1', '--patterns', 'full-web', '--json', 'f'])
  expect(line?.runs.map(({ bench, own }) => [bench.name, own])).toEqual([
    ['web', { databaseMb: '1' }],
    ['flat', { databaseMb: '1' }],
    ['big', { databaseMb: '1' }],
    ['checkpoints', { databaseMb: '1', patterns: 'full-web' }],
  ])
  expect([line?.json, line?.write]).toEqual(['f', undefined])
})
