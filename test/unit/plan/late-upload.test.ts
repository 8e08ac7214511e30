// What arrives in a generation that its writer has given up does not make it the newest one.

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
  readonly writer?: string | undefined
  readonly stint?: number | undefined
  readonly observedAtMs?: number
}

function chosen(objects: readonly Written[]): string | undefined {
  const generations = buildTimelines(objects.map(({ key, modifiedAtMs }) => ({ key, modifiedAtMs, size: 100 })))
  const planner = chooseRestore([{ replica: 'one', generations }], { kind: 'latest' })
  const provenanceOf = (key: string): Provenance | undefined => {
    const written = objects.find((object) => object.key === key) as Written
    if (written.writer === undefined) return undefined
    const kind = key.includes('/snapshots/') ? 'snapshot' : 'segment'
    const { writer, stint, observedAtMs = 0 } = written
    return {
      version: 1,
      program: 'test',
      writer,
      stint,
      kind,
      pageSize: 512,
      pageCount: 1,
      observedAtMs,
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
  writer: 'w',
  stint: 1,
  observedAtMs: 1000,
  ...more,
})
const next = (modifiedAtMs: number, more: Partial<Written> = {}): Written => ({
  key: snapshotKey(NEW, 0),
  modifiedAtMs,
  writer: 'w',
  stint: 2,
  observedAtMs: 2000,
  ...more,
})

test('a snapshot of the generation before that arrives late is passed over', () => {
  expect(chosen([old(5000), next(4000)])).toBe(NEW)
  expect(chosen([old(3000), next(4000)])).toBe(NEW)
})

test('whatever the clock said: the number of the stint decides', () => {
  expect(chosen([old(5000, { observedAtMs: 9000 }), next(4000)])).toBe(NEW)
})

test('with another writer, without numbers, or much later the storage decides', () => {
  expect(chosen([old(5000, { writer: 'other' }), next(4000)])).toBe(OLD)
  expect(chosen([old(5000, { stint: undefined }), next(4000, { stint: undefined })])).toBe(OLD)
  expect(chosen([old(5000, { writer: undefined }), next(4000, { writer: undefined })])).toBe(OLD)
  expect(chosen([old(4000 + 3_600_001), next(4000)])).toBe(OLD)
})

test('a generation that its writer has come back to counts with its newest object', () => {
  const again: Written = { ...old(6000, { stint: 3 }), key: segmentKey(OLD, 0, 0) }
  expect(chosen([old(3000), again, next(4000)])).toBe(OLD)
})
