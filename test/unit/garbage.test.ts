// What is said to be garbage is collected: memory outside of the heap does not gather.

import { expect, test } from 'vitest'
import { collectAll, madeGarbage } from '../../src/garbage.js'
import { until } from '../support/until.js'

test('buffers that nobody uses any more are given back while more are made', () => {
  const bytesEach = 1 << 20
  const beforeBytes = process.memoryUsage().arrayBuffers
  let mostBytes = 0
  for (let i = 0; i < 200; i++) {
    Buffer.allocUnsafeSlow(bytesEach).fill(1)
    madeGarbage(bytesEach)
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers - beforeBytes)
  }
  expect(mostBytes).toBeLessThan(20 * bytesEach)
  expect((globalThis as { gc?: unknown }).gc).toBeUndefined()
})

test('what has grown old is given back by a collection of everything', async () => {
  // What others have left in this process is not to be freed in the midst of it.
  for (let i = 0; i < 2; i++) collectAll()
  const growth = (): number => process.memoryUsage().arrayBuffers - beforeBytes
  const growOld = (): number => {
    const kept = Array.from({ length: 40 }, () => Buffer.allocUnsafeSlow(1 << 20))
    for (let i = 0; i < 20; i++) madeGarbage(1 << 20)
    return kept.length
  }
  const beforeBytes = process.memoryUsage().arrayBuffers
  const kept = growOld()
  for (let i = 0; i < 20; i++) madeGarbage(1 << 20)
  expect(growth()).toBeGreaterThan((kept - 1) << 20)
  // Freed by another thread, a little later.
  const free = () => {
    collectAll()
    return growth() < 8 << 20
  }
  await until(free, { what: 'the memory to be given back' })
})
