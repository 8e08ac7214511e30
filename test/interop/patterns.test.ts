// Every pattern of the table (patterns.ts), replicated by our real command and restored by the real Litestream 0.3.13 and by us;
// and a replica of 20,000 segments. Several patterns run at a time; those that want the machine for themselves come last.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runReal } from '../support/litestream-real.js'
import { minioServer } from '../support/minio.js'
import { runOurs } from '../support/programs.js'
import { suiteDirectory } from '../support/temp.js'
import { differingPages } from './compare.js'
import { writeManySegments } from './many-segments.js'
import { runPattern, World } from './pattern-run.js'
import { patterns } from './patterns.js'

const directory = suiteDirectory('patterns')

async function judge(place: number): Promise<void> {
  const pattern = patterns[place] as (typeof patterns)[number]
  const own = join(directory, String(place))
  mkdirSync(own)
  const world = await World.make(pattern, own, minioServer)
  try {
    await runPattern(world)
  } finally {
    await world.close()
  }
  // Kept when it failed.
  rmSync(own, { recursive: true })
}

async function manySegments(): Promise<void> {
  const own = join(directory, 'many')
  const replica = join(own, 'replica')
  mkdirSync(own)
  const { source, segments, indexes } = await writeManySegments(own, replica, 20_000)
  expect(indexes).toBe(Math.ceil(20_000 / 256))
  // Every index but the last is closed by an empty one.
  expect(segments).toBe(20_000 + indexes - 1)
  const sourcePath = join(own, 'source.db')
  writeFileSync(sourcePath, source)
  const url = `file://${replica}`
  const outputs = { real: join(own, 'real.db'), ours: join(own, 'ours.db') }
  const [real, ours] = await Promise.all([
    runReal(['restore', '-o', outputs.real, url]),
    runOurs(['restore', '-integrity-check', 'full', '-o', outputs.ours, url]),
  ])
  expect(real.code, real.stderr).toBe(0)
  expect(ours.code, ours.stderr).toBe(0)
  expect(differingPages(outputs.real, sourcePath, 512)).toEqual([])
  expect(differingPages(outputs.ours, sourcePath, 512)).toEqual([])
  rmSync(own, { recursive: true })
}

test('there are at least twenty patterns, all of different names', () => {
  expect(new Set(patterns.map(({ name }) => name)).size).toBe(patterns.length)
  expect(patterns.length).toBeGreaterThanOrEqual(20)
})

const cases = patterns.map(({ name, alone = false }, place) => ({ name, alone, place }))

describe.concurrent('restored by the real one and by us, equal to the source', { timeout: 240_000 }, () => {
  test('20,000 segments', manySegments)
  for (const { name, alone, place } of cases) if (!alone) test(name, () => judge(place))
})

describe('restored by the real one and by us, equal to the source, one at a time', { timeout: 240_000 }, () => {
  for (const { name, alone, place } of cases) if (alone) test(name, () => judge(place))
})
