// What is said to be garbage is collected: memory outside of the heap does not gather.

import { expect, test } from 'vitest'
import { madeGarbage } from '../../src/garbage.js'

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
