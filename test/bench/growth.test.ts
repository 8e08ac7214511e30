// The benchmarks that go through a list of sizes, and the soak.

import { expect, test } from 'vitest'
import { smoke } from './smoke.js'

const EXPONENT = /\| exponent of the last step \|/

test('soak: a series of memory and descriptors, and a replica that is complete in the end', {
  timeout: 120_000,
}, async () => {
  const given = { minutes: '0.05', databaseMb: '1', syncIntervalMs: '100', weatherSeconds: '1' }
  const { result } = await smoke('soak', given)
  const [series] = result.series ?? []
  expect(series?.figures).toEqual(['memoryBytes', 'descriptors'])
  expect(series?.points.length).toBeGreaterThan(1)
  expect(series?.points.every((point) => point.length === 3 && point.every(Number.isFinite))).toBe(true)
  expect(result.runs[0]?.figures.complete).toBe(1)
})

test('growth-sizes', { timeout: 120_000 }, async () => {
  const { result, table } = await smoke('growth-sizes', { sizesMb: '1,2', seconds: '0.3', syncIntervalMs: '100' })
  expect(result.runs.map(({ of }) => of)).toEqual(['1 MB', '2 MB'])
  expect(table).toMatch(EXPONENT)
})

test('growth-rates', { timeout: 120_000 }, async () => {
  const { result, table } = await smoke('growth-rates', {
    perSecond: '10,50',
    seconds: '0.3',
    databaseMb: '1',
    syncIntervalMs: '100',
  })
  expect(result.runs.map(({ of }) => of)).toEqual(['10 tx/s', '10 tx/s', '50 tx/s', '50 tx/s'])
  expect(table).toMatch(EXPONENT)
})

test('growth-databases', { timeout: 120_000 }, async () => {
  const given = { databases: '1,4', idleSeconds: '0.5', syncIntervalMs: '100' }
  const { result, table } = await smoke('growth-databases', given)
  expect(result.runs.map(({ of }) => of)).toEqual(['1 databases', '4 databases'])
  expect(table).toMatch(EXPONENT)
})

test('growth-objects, in a directory and on the store', { timeout: 120_000 }, async () => {
  const { result } = await smoke('growth-objects', { objects: '600', stores: 'file,s3' })
  const cases = ['600 objects', '600 objects on S3']
  expect(result.runs.map(({ of }) => of)).toEqual(cases.flatMap((name) => [name, name]))
})
