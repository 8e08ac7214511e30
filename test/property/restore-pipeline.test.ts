// Any history in any layout restores to what its transactions say: random pages, sizes, page sizes and byte orders; segments and
// indexes cut at random; snapshots exact or with an overlay; to the newest state and to every moment between.

import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import type { RestoreTarget } from '../../src/model/target.js'
import { MemoryClient } from '../../src/replica/memory-client.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { DatabaseModel, makePage, SyntheticReplica, type Transaction } from '../support/synthetic-replica.js'

const GENERATION = 'feedfacecafebeef'

interface Step {
  readonly pages: readonly number[]
  readonly pageCount: number
  /** What comes before the transaction. */
  readonly before: 'segment' | 'index' | 'snapshot' | 'overlay' | 'nothing'
}

const step: fc.Arbitrary<Step> = fc.record({
  pages: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  pageCount: fc.integer({ min: 1, max: 12 }),
  before: fc.constantFrom('segment', 'segment', 'index', 'snapshot', 'overlay', 'nothing'),
})

const history = fc.record({
  ours: fc.boolean(),
  bigEndianChecksum: fc.boolean(),
  pageSize: fc.constantFrom(512, 1024, 4096, 65536),
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
})

interface Point {
  readonly atMs: number
  readonly index: number
  readonly bytes: Buffer
}

/** Writes the history; returns the state at the end of each segment. */
async function write(
  client: MemoryClient,
  clock: { nowMs: number },
  { ours, bigEndianChecksum, pageSize, steps }: typeof history extends fc.Arbitrary<infer H> ? H : never,
): Promise<Point[]> {
  const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize, ours, bigEndianChecksum })
  const model = new DatabaseModel(pageSize)
  const points: Point[] = []
  let waiting: Transaction[] = []
  let version = 0
  // The storage's time is later than the moment when it was observed.
  const flush = async (closes = false): Promise<void> => {
    if (waiting.length === 0 && !closes) return
    await replica.segment(waiting, clock.nowMs - 500)
    waiting = []
    points.push({ atMs: ours ? clock.nowMs - 500 : clock.nowMs, index: replica.index, bytes: model.bytes() })
    clock.nowMs++
  }
  const nextIndex = async (): Promise<void> => {
    await flush()
    model.cut()
    replica.nextIndex()
  }
  const transaction = (pages: readonly number[], pageCount: number): Transaction => {
    version++
    const order = ours ? [...pages].sort((a, b) => a - b) : pages
    const made = { pages: new Map(order.map((page) => [page, makePage(page, version, pageSize)])), pageCount }
    model.apply(made)
    return made
  }

  transaction([1, 2, 3], 3)
  await replica.snapshot(model.bytes(), clock.nowMs - 500)
  points.push({ atMs: ours ? clock.nowMs - 500 : clock.nowMs, index: 0, bytes: model.bytes() })
  clock.nowMs++
  let indexHasSegment = false
  for (const { pages, pageCount, before } of steps) {
    // Ours: one changeset a segment. An index without any segment is closed by an empty one.
    if (ours || before !== 'nothing') await flush()
    if (before === 'index' || before === 'snapshot' || before === 'overlay') {
      if (!indexHasSegment) await flush(true)
      await nextIndex()
      indexHasSegment = false
    }
    if (before === 'snapshot') {
      await replica.snapshot(model.bytes(), clock.nowMs - 500)
      clock.nowMs++
    }
    if (before === 'overlay' && ours) {
      const base = Buffer.from(model.bytes())
      base.fill(0xee, 0, pageSize)
      makePage(1, 12345, pageSize).copy(base)
      const overlay = transaction([1], Math.max(1, model.pageCount))
      const atMs = clock.nowMs - 500
      const { bytes } = await replica.segment([overlay], atMs)
      await replica.snapshot(base, atMs, bytes)
      points.push({ atMs, index: replica.index, bytes: model.bytes() })
      clock.nowMs++
    }
    waiting.push(transaction(pages, pageCount))
    indexHasSegment = true
  }
  await flush()
  return points
}

async function restoredTo(client: MemoryClient, target: RestoreTarget, directory: string): Promise<Buffer> {
  const outputPath = join(directory, 'db')
  await rm(outputPath, { force: true })
  await restoreDatabase({
    replicas: [{ name: 'memory', client }],
    outputPath,
    target,
    integrityCheck: 'none',
    parallelism: 2,
    logger: silentLogger,
    monotonic: () => 0,
  })
  return readFileSync(outputPath)
}

test('every history restores to every one of its states', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'litestream-test-pipeline-'))
  await fc.assert(
    fc.asyncProperty(history, async (made) => {
      const clock = { nowMs: 10_000 }
      const client = new MemoryClient({ clock: { now: () => clock.nowMs, monotonic: () => 0 } })
      const points = await write(client, clock, made)
      const newest = points.at(-1) as Point
      expect((await restoredTo(client, { kind: 'latest' }, directory)).equals(newest.bytes), 'newest').toBe(true)
      // The snapshot of another program alone must be checked, and these pages are no database: ours only, then.
      const first = made.ours ? 0 : 1
      for (let i = first; i < points.length; i += 1 + (points.length >> 2)) {
        const { atMs } = points[i] as Point
        const last = points.findLast((point) => point.atMs <= atMs) as Point
        const restored = await restoredTo(client, { kind: 'time', atMs }, directory)
        expect(restored.equals(last.bytes), `at ${atMs}`).toBe(true)
      }
      const { index } = points[points.length >> 1] as Point
      const end = points.findLast((point) => point.index === index) as Point
      expect((await restoredTo(client, { kind: 'index', index }, directory)).equals(end.bytes), `index ${index}`).toBe(
        true,
      )
    }),
    { numRuns: 60 },
  )
  await rm(directory, { recursive: true })
})
