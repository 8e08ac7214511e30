// The benchmark of the health check, in a size that means nothing.

import { expect, test } from 'vitest'
import { smoke } from './smoke.js'

test('health: the check beside a daemon of two databases', async () => {
  const { table } = await smoke('health', { databases: '2', loops: '0,1', calls: '2' })
  expect(table).toMatch(/\| 0 busy programs \| \d+ ms \| .*ms \|/)
  expect(table).not.toContain('exponent')
}, 120_000)
