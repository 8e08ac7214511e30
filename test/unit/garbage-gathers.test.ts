// In a file of its own: how memory is given back depends on what the same heap did before.

import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { madeGarbage } from '../../src/garbage.js'

test('large pieces that may gather do so up to 8 MiB', async () => {
  const bytesEach = 4 << 20
  const beforeBytes = process.memoryUsage().arrayBuffers
  let mostBytes = 0
  for (let i = 0; i < 50; i++) {
    Buffer.allocUnsafeSlow(bytesEach)
    mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers - beforeBytes)
    madeGarbage(bytesEach, true)
    await setImmediate() // the collector frees on a thread of its own
  }
  expect(mostBytes).toBeLessThan(7 * bytesEach)
})
