// Page images in memory and past its bound, against a plain map; and the changeset over them.

import { readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Changeset } from '../../../src/source/changeset.js'
import { ChunkPool, Spool } from '../../../src/source/spool.js'
import { tempDirectory } from '../../support/temp.js'

const CHUNK_BYTES = 65536

const puts = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.record({ page: fc.integer({ min: 1, max: 60 }), fill: fc.nat(255) }) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
  ),
  { maxLength: 120 },
)

test('a changeset holds the last image of each page, wherever it lies', () => {
  const directory = tempDirectory('spool')
  fc.assert(
    fc.property(fc.constantFrom(512, 4096, 65536), fc.nat(3), puts, (pageSize, chunks, steps) => {
      const pool = new ChunkPool(chunks * CHUNK_BYTES)
      const changeset = new Changeset(pool, directory)
      const model = new Map<number, number>()
      for (const step of steps) {
        if (step === 'clear') {
          changeset.clear()
          model.clear()
          continue
        }
        changeset.put(step.page, Buffer.alloc(pageSize, step.fill))
        model.set(step.page, step.fill)
      }
      expect(changeset.size).toBe(model.size)
      expect(changeset.bytes).toBe(model.size * pageSize)
      expect(changeset.spooledBytes).toBe(Math.max(0, model.size * pageSize - chunks * CHUNK_BYTES))
      expect([...changeset.pages(40)]).toEqual([...model.keys()].filter((page) => page <= 40).sort((a, b) => a - b))
      const image = Buffer.alloc(pageSize)
      for (let page = 1; page <= 60; page++) {
        const fill = model.get(page)
        expect(changeset.has(page)).toBe(fill !== undefined)
        expect(changeset.read(page, image)).toBe(fill !== undefined)
        if (fill !== undefined) expect(image.equals(Buffer.alloc(pageSize, fill))).toBe(true)
      }
      changeset.clear()
      expect(pool.usedBytes).toBe(0)
      // The file has no name: nothing is left behind, whatever happens.
      expect(readdirSync(directory)).toEqual([])
    }),
    { numRuns: 60 },
  )
})

test('memory is shared, given back, and taken again by the next', () => {
  const pool = new ChunkPool(2 * CHUNK_BYTES)
  const directory = tempDirectory('spool')
  const page = Buffer.alloc(CHUNK_BYTES, 7)
  const [first, second] = [new Spool(CHUNK_BYTES, pool, directory), new Spool(CHUNK_BYTES, pool, directory)]
  first.add(page)
  first.add(page)
  second.add(page)
  expect([first.fileBytes, second.fileBytes, pool.usedBytes]).toEqual([0, CHUNK_BYTES, 2 * CHUNK_BYTES])
  first.clear()
  expect(pool.usedBytes).toBe(0)
  // Slots behind the file's first one stay in the file.
  expect(second.add(page)).toBe(1)
  expect(second.fileBytes).toBe(2 * CHUNK_BYTES)
  second.clear()
  second.add(page)
  expect(second.fileBytes).toBe(0)
})

test('a directory that takes nothing is named', () => {
  const directory = join(tempDirectory('spool'), 'file', 'below')
  writeFileSync(dirname(directory), '')
  const spool = new Spool(512, new ChunkPool(0), directory)
  expect(() => spool.add(Buffer.alloc(512))).toThrow(
    expect.objectContaining({ code: 'LOCAL', message: expect.stringContaining(directory) }),
  )
})
