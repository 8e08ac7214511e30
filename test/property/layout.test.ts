// Layout names: formatting and parsing are inverse, and nothing but a name of the layout is taken for one.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseKey, segmentKey, snapshotKey } from '../../src/model/layout.js'

const generation = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 16, maxLength: 16 })
const uint32 = fc.integer({ min: 0, max: 0xffffffff })

test('what is formatted is parsed back', () => {
  fc.assert(
    fc.property(generation, uint32, uint32, (name, index, offset) => {
      expect(parseKey(snapshotKey(name, index))).toEqual({ kind: 'snapshot', generation: name, index })
      expect(parseKey(segmentKey(name, index, offset))).toEqual({ kind: 'segment', generation: name, index, offset })
    }),
  )
})

test('what is parsed is formatted back, and any other key is ignored', () => {
  const key = fc
    .tuple(generation, uint32, uint32, fc.boolean())
    .map(([name, index, offset, isSnapshot]) =>
      isSnapshot ? snapshotKey(name, index) : segmentKey(name, index, offset),
    )
  const mutation = fc.record({
    at: fc.nat(80),
    remove: fc.nat(2),
    insert: fc.string({ unit: fc.constantFrom(...'0aF/._gwal.tmp lz4'), maxLength: 2 }),
  })
  fc.assert(
    fc.property(key, mutation, (original, { at, remove, insert }) => {
      const mutated = original.slice(0, at) + insert + original.slice(at + remove)
      const name = parseKey(mutated)
      if (!name) return
      const again =
        name.kind === 'snapshot'
          ? snapshotKey(name.generation, name.index)
          : segmentKey(name.generation, name.index, name.offset)
      expect(again).toBe(mutated)
    }),
    { numRuns: 2000 },
  )
})

test.each([
  'generations/0123456789ABCDEF/snapshots/00000000.snapshot.lz4',
  'generations/0123456789abcdef/snapshots/0000000A.snapshot.lz4',
  'generations/0123456789abcdef/snapshots/00000000.snapshot.lz4.tmp',
  'generations/0123456789abcdef/wal/00000000.wal.lz4',
  'generations/0123456789abcdef/wal/00000000_100000000.wal.lz4',
  'generations/0123456789abcdef/wal/00000000_00000000.wal.lz4/',
  '/generations/0123456789abcdef/wal/00000000_00000000.wal.lz4',
  'x/generations/0123456789abcdef/wal/00000000_00000000.wal.lz4',
  'generations/0123456789abcde/wal/00000000_00000000.wal.lz4',
  'generations/0123456789abcdef/snapshots/00000000_00000000.wal.lz4',
  '',
])('foreign name %s', (key) => {
  expect(parseKey(key)).toBeUndefined()
})
