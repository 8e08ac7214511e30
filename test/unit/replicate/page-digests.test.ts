// Digests in memory and past its bound, against a plain map.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import { loadPageHash, PageDigests, UNKNOWN } from '../../../src/replicate/page-digests.js'
import { digestsOf } from '../../support/page-digests.js'
import { tempDirectory } from '../../support/temp.js'

const PAGES = 4000
const descriptors = () => readdirSync('/proc/self/fd').length

test('any history of growing, shrinking and setting: a page is known only since it was set within the size', () => {
  const directory = tempDirectory('digests')
  const pageNumber = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: PAGES }))
  const step = fc.oneof(
    { weight: 1, arbitrary: fc.record({ size: fc.oneof(fc.nat(300), fc.nat(PAGES)) }) },
    { weight: 4, arbitrary: fc.record({ page: pageNumber, digest: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }) }) },
  )
  // All in memory, almost all in the file, and on either side of a block's end.
  const memoryPages = fc.constantFrom(undefined, 0, 5, 512, 1000)
  const before = descriptors()
  fc.assert(
    fc.property(memoryPages, fc.array(step, { maxLength: 60 }), fc.nat(PAGES), (memoryPages, steps, otherSize) => {
      const digests = new PageDigests(4096, 0, { directory, memoryPages })
      const model = new Map<number, bigint>()
      let size = 0
      for (const one of steps) {
        if ('size' in one) {
          size = one.size
          digests.resize(size)
          for (const page of model.keys()) if (page > size) model.delete(page)
        } else {
          size = Math.max(size, one.page)
          digests.set(one.page, one.digest)
          model.set(one.page, one.digest)
        }
      }
      const expected = (pageCount: number, unknown = UNKNOWN) =>
        Array.from({ length: pageCount }, (_, i) => (i < size ? model.get(i + 1) : undefined) ?? unknown)
      expect(digests.pageCount).toBe(size)
      expect(digestsOf(digests)).toEqual(expected(size))
      for (const page of [...model.keys(), 1, size + 1]) expect(digests.get(page)).toBe(model.get(page) ?? UNKNOWN)
      // A copy is another one, of the size that was asked for.
      const copy = digests.copy(otherSize)
      expect(digestsOf(copy)).toEqual(expected(otherSize))
      copy.fillUnknown(7n)
      expect(digestsOf(copy)).toEqual(expected(otherSize, 7n))
      expect(digestsOf(digests)).toEqual(expected(size))
      copy.release()
      digests.release()
      expect(digests.get(1)).toBe(UNKNOWN)
      expect(digests.bytes).toBe(0)
      expect(descriptors()).toBe(before)
      // The file has no name: nothing is left behind, whatever happens.
      expect(readdirSync(directory)).toEqual([])
    }),
    { numRuns: 150 },
  )
})

test('eight bytes a page: growing page by page takes a quarter more at most, and shrinking gives memory back', () => {
  const digests = new PageDigests(4096)
  for (let page = 1; page <= 100_000; page++) digests.set(page, 1n)
  expect(digests.bytes).toBeLessThanOrEqual(100_000 * 8 * 1.25)
  digests.resize(100)
  expect(digests.bytes).toBe(800)
  expect(new PageDigests(4096, 100_000).bytes).toBe(800_000)
})

test('memory has a bound that the size of a database does not move: 8 GB', () => {
  const directory = tempDirectory('digests')
  const digests = new PageDigests(4096, 0, { directory })
  for (let page = 1; page <= 2_000_000; page++) digests.set(page, BigInt(page))
  expect(digests.bytes).toBe((1 << 20) + 4096)
  for (let page = 1; page <= 2_000_000; page += 997) expect(digests.get(page)).toBe(BigInt(page))
  digests.release()
})

test('a directory that takes nothing: an error that names it, and releasing works', () => {
  const directory = join(tempDirectory('digests'), 'file')
  writeFileSync(directory, '')
  const digests = new PageDigests(4096, 0, { directory, memoryPages: 0 })
  const setAll = () => {
    for (let page = 1; page <= 2000; page++) digests.set(page, 1n)
  }
  expect(setAll).toThrow(LitestreamError)
  expect(setAll).toThrow(`cannot keep page digests in ${directory}`)
  digests.release()
  expect(digests.pageCount).toBe(0)
})

test('no page has the digest that stands for an unknown one, and one changed bit gives another digest', async () => {
  const hash = await loadPageHash()
  const page = Buffer.alloc(4096)
  const zeros = hash(page)
  expect(zeros).not.toBe(UNKNOWN)
  const seen = new Set([zeros])
  for (let bit = 0; bit < 4096 * 8; bit += 37) {
    page[bit >> 3] = 1 << (bit & 7)
    seen.add(hash(page))
    page[bit >> 3] = 0
  }
  expect(seen.size).toBe(1 + Math.ceil((4096 * 8) / 37))
})
