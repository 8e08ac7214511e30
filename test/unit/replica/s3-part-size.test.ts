// Parts are as small as S3 allows, and as large as its 10,000 demand.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { partBytesFor } from '../../../src/replica/s3-multipart.js'

const MIB = 2 ** 20

test('whatever size is told, parts are of whole MiB from 5 on, and enough for a fifth more', () => {
  expect([undefined, 0, 1, 30 * 2 ** 30].map((size) => partBytesFor(size))).toEqual([5, 5, 5, 5].map((n) => n * MIB))
  expect(partBytesFor(100 * 2 ** 30)).toBe(13 * MIB)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4 * 2 ** 40 }), (size) => {
      const partBytes = partBytesFor(size)
      expect(partBytes % MIB).toBe(0)
      expect(partBytes).toBeGreaterThanOrEqual(5 * MIB)
      expect(Math.ceil((1.2 * size) / partBytes)).toBeLessThanOrEqual(10_000)
    }),
  )
})
