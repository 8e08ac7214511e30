// The benchmarks that are no loads.

import { expect, test } from 'vitest'
import { formatResult } from '../../bench/table.js'
import { benchOf, present, smoke } from './smoke.js'

test('snapshot', { timeout: 120_000 }, async () => {
  const { result, table } = await smoke('snapshot', { contenders: 'ours', pairs: '1', sizeMb: '1' })
  expect(result.runs.map(({ contender }) => contender)).toEqual(['ours'])
  for (const { figures } of result.runs) expect(Math.min(...Object.values(figures))).toBeGreaterThan(0)
  expect(table).toContain("at most 0.5 of 0.3.13's | cannot be told |")
})

test('restore: all of them restore what 0.3.13 wrote', { timeout: 120_000 }, async () => {
  const { result } = await smoke('restore', { pairs: '1', sizeMb: '1', seconds: '0.5' })
  const there = await present('litestream-0.3.13', 'litestream-0.5.17', 'ours')
  expect(result.runs.map(({ contender }) => contender)).toEqual(there)
  for (const { figures } of result.runs) expect(figures.seconds).toBeGreaterThan(0)
})

test('many', { timeout: 120_000 }, async () => {
  const given = { contenders: 'ours', pairs: '1', databases: '5', idleSeconds: '1', syncIntervalMs: '100' }
  const { result, table } = await smoke('many', given)
  expect(result.runs).toHaveLength(1)
  expect(result.runs[0]?.figures.idleRequestsPerHour).toBe(0)
  expect(table).toContain('| at most none')
})

test('start', { timeout: 120_000 }, async () => {
  const { result } = await smoke('start', { pairs: '1' })
  expect(result.runs.map(({ contender }) => contender)).toEqual(
    await present('litestream-0.3.13', 'litestream-0.5.17', 'ours'),
  )
  expect(formatResult(benchOf('start'), result)).toMatch(/\| `snapshots`, of a replica on S3 \| \S+ ms \|/)
})
