// What arrives late in a generation that was given up does not make it the newest one.

import { expect, test } from 'vitest'
import { segmentKey, snapshotKey } from '../../../src/model/layout.js'
import type { Provenance } from '../../../src/model/provenance.js'
import { buildTimelines } from '../../../src/model/timeline.js'
import { chooseRestore } from '../../../src/plan/restore-choice.js'

const OLD = 'aaaaaaaaaaaaaaaa'
const NEW = 'bbbbbbbbbbbbbbbb'
const SOURCE = { stamp: { ino: '1', size: 512, mtimeNs: '1', ctimeNs: '1' } }

interface Written {
  readonly key: string
  readonly modifiedAtMs: number
  readonly boot?: string
  readonly uptimeMs?: number | undefined
  readonly observedAtMs?: number
}

function chosen(objects: readonly Written[]): string | undefined {
  const generations = buildTimelines(objects.map(({ key, modifiedAtMs }) => ({ key, modifiedAtMs, size: 100 })))
  const planner = chooseRestore([{ replica: 'one', generations }], { kind: 'latest' })
  const provenanceOf = (key: string): Provenance | undefined => {
    const written = objects.find((object) => object.key === key) as Written
    const kind = key.includes('/snapshots/') ? 'snapshot' : 'segment'
    const { boot = 'boot', uptimeMs, observedAtMs = 0 } = written
    return {
      version: 1,
      program: 'test',
      writer: 'w',
      kind,
      pageSize: 512,
      pageCount: 1,
      observedAtMs,
      uptime: uptimeMs === undefined ? undefined : { boot, ms: uptimeMs },
      source: SOURCE,
    }
  }
  let step = planner.next()
  while (!step.done) step = planner.next(provenanceOf(step.value.object.key))
  return step.value.planned[0]?.plan.generation
}

const old = (modifiedAtMs: number, more: Partial<Written> = {}): Written => ({
  key: snapshotKey(OLD, 0),
  modifiedAtMs,
  uptimeMs: 1000,
  observedAtMs: 1000,
  ...more,
})
const next = (modifiedAtMs: number, more: Partial<Written> = {}): Written => ({
  key: snapshotKey(NEW, 0),
  modifiedAtMs,
  uptimeMs: 2000,
  observedAtMs: 2000,
  ...more,
})

test('a snapshot of the generation before that arrives late is passed over, whoever wrote it', () => {
  expect(chosen([old(5000), next(4000)])).toBe(NEW)
  expect(chosen([old(3000), next(4000)])).toBe(NEW)
})

test('whatever the wall clock said: the clock that nobody sets decides', () => {
  expect(chosen([old(5000, { observedAtMs: 9000 }), next(4000)])).toBe(NEW)
})

test('from another boot, without a reading, or much later the storage decides', () => {
  expect(chosen([old(5000, { boot: 'other' }), next(4000)])).toBe(OLD)
  expect(chosen([old(5000, { uptimeMs: undefined }), next(4000)])).toBe(OLD)
  expect(chosen([old(5000), next(4000, { uptimeMs: undefined })])).toBe(OLD)
  expect(chosen([old(4000 + 3_600_001), next(4000)])).toBe(OLD)
})

test('at the same reading the storage decides, and at its same time the moments', () => {
  expect(chosen([old(5000, { uptimeMs: 2000 }), next(4000)])).toBe(OLD)
  expect(chosen([old(4000, { boot: 'other' }), next(4000)])).toBe(NEW)
  expect(chosen([old(4000, { boot: 'other', observedAtMs: 3000 }), next(4000)])).toBe(OLD)
})

test('a generation that somebody has come back to counts with its newest object', () => {
  const again: Written = { ...old(6000, { uptimeMs: 3000 }), key: segmentKey(OLD, 0, 0) }
  expect(chosen([old(3000), again, next(4000)])).toBe(OLD)
})

test('one that was passed by another one that is passed itself does not come back', () => {
  const third: Written = { key: snapshotKey('cccccccccccccccc', 0), modifiedAtMs: 3000, uptimeMs: 3000 }
  expect(chosen([old(6000), next(5000), third])).toBe('cccccccccccccccc')
})
