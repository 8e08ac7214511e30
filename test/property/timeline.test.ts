// The timeline of a listing: order, bounds and visible holes, against the plainest way to say each.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { segmentKey, snapshotKey } from '../../src/model/layout.js'
import {
  buildTimelines,
  firstMissing,
  firstSegmentAt,
  type ListedObject,
  newestIndex,
} from '../../src/model/timeline.js'

const GENERATIONS = ['00000000000000aa', '00000000000000bb']
const small = fc.nat(5)
const key = fc
  .tuple(fc.constantFrom(...GENERATIONS), small, fc.option(small, { nil: undefined }))
  .map(([generation, index, offset]) =>
    offset === undefined ? snapshotKey(generation, index) : segmentKey(generation, index, offset),
  )
const foreign = fc.constantFrom(
  'generations/00000000000000aa/wal/x',
  'generations/zz/wal/00000000_00000000.wal.lz4',
  'y',
)
const listing = fc
  .uniqueArray(fc.oneof({ weight: 6, arbitrary: key }, foreign), { maxLength: 30 })
  .chain((keys) =>
    fc.tuple(...keys.map((k) => fc.record({ key: fc.constant(k), size: small, modifiedAtMs: fc.nat(100) }))),
  )

test('every object of the layout once, in order, with the bounds of its generation', () => {
  fc.assert(
    fc.property(listing, (objects: ListedObject[]) => {
      const timelines = buildTimelines(objects)
      expect(timelines.map(({ generation }) => generation)).toEqual(
        GENERATIONS.filter((name) => objects.some(({ key }) => key.includes(name) && key.endsWith('.lz4'))),
      )
      for (const { generation, snapshots, segments, firstAtMs, lastAtMs } of timelines) {
        const own = objects.filter(({ key }) => key.startsWith(`generations/${generation}/`) && key.endsWith('.lz4'))
        const keys = own.map(({ key }) => key).sort()
        expect([...snapshots, ...segments].map(({ key }) => key)).toEqual(keys)
        const times = own.map(({ modifiedAtMs }) => modifiedAtMs)
        expect([firstAtMs, lastAtMs]).toEqual([Math.min(...times), Math.max(...times)])
      }
    }),
  )
})

test('the first visible hole', () => {
  fc.assert(
    fc.property(listing, small, (objects: ListedObject[], from) => {
      for (const timeline of buildTimelines(objects)) {
        const segments = timeline.segments.slice(firstSegmentAt(timeline.segments, from))
        expect(segments).toEqual(timeline.segments.filter(({ index }) => index >= from))
        const newest = segments.at(-1)?.index ?? from - 1
        const needed = Array.from({ length: newest - from + 1 }, (_, i) => segmentKey(timeline.generation, from + i, 0))
        const missing = needed.find((wanted) => !segments.some(({ key }) => key === wanted))
        expect(firstMissing(segments, timeline.generation, from)).toBe(missing)
        expect(newestIndex(timeline)).toBe(
          Math.max(...[...timeline.snapshots, ...timeline.segments].map(({ index }) => index)),
        )
      }
    }),
  )
})
