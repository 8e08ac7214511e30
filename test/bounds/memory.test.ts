// Memory has a bound that depends on nothing that grows: size of the database, of a transaction, length of an outage; a replica's objects
// cost some hundred bytes each while they are listed. Measured with the real process, a small case against a large one.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { segmentKey } from '../../src/model/layout.js'
import { startWithConfig } from '../e2e/replicating.js'
import { projectRoot } from '../support/make-dist.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { descriptorsOf, Heavy, peakMib, sumIn } from './measured.js'

/** Page images in memory (96 MiB), blocks being compressed, and what allocators and the collector keep of those that were. */
const REPLICATE_GROWTH_MIB = 400
/** Two arenas of pages (64 MiB), objects fetched ahead (64 MiB), a block being decompressed, and what allocators keep of those. */
const RESTORE_GROWTH_MIB = 250
/** A key, a size and a time, and the places they are sorted into. */
const LISTED_OBJECT_BYTES = 2048

const REPORT_PEAK = { NODE_OPTIONS: `--require ${join(projectRoot, 'test', 'support', 'report-peak-program.cjs')}` }

/** Runs to a good end; its peak in MiB. */
async function peakOf(args: readonly string[]): Promise<number> {
  const { code, stdout, stderr } = await runOurs(args, { env: REPORT_PEAK })
  expect(code, stdout + stderr).toBe(0)
  return Math.round(Number(/^peak (\d+)$/m.exec(stderr)?.[1]) / 1024)
}

/** One transaction of `mib` and many small ones of a third of it, in an outage; then everything is caught up, and restored. */
async function weathered(mib: number): Promise<{ replicateMib: number; restoreMib: number }> {
  const directory = tempDirectory('memory')
  mkdirSync(join(directory, 'source'))
  const replica = join(directory, 'store', 'replica')
  const heavy = new Heavy(join(directory, 'source', 'app.db'))
  onTestFinished(() => heavy.close())
  const config = `dbs:\n- path: ${heavy.path}\n  monitor-interval: 20ms\n  replicas:\n  - {path: ${replica}, sync-interval: 50ms}\n`
  const daemon = await startWithConfig(directory, config, [], { env: { TMPDIR: directory } })
  heavy.insert(1)
  await daemon.waitForLine(/snapshot written/)
  // The outage: not even root can write below a file.
  const aside = join(directory, 'store-aside')
  renameSync(dirname(replica), aside)
  writeFileSync(dirname(replica), '')
  heavy.insert(mib)
  heavy.insertInPieces(Math.ceil(mib / 3))
  await daemon.waitForLine(/monitor error/)
  rmSync(dirname(replica))
  renameSync(aside, dirname(replica))
  const output = join(directory, 'restored.db')
  await until(
    async () => {
      rmSync(output, { force: true })
      await runOurs(['restore', '-o', output, `file://${replica}`])
      return existsSync(output) && sumIn(output) === heavy.sum()
    },
    { timeoutMs: 120_000, intervalMs: 2000, what: 'everything to be caught up' },
  )
  const replicateMib = peakMib(daemon.pid)
  rmSync(output)
  const restoreMib = await peakOf(['restore', '-o', output, `file://${replica}`])
  expect((await daemon.stop()).code).toBe(0)
  return { replicateMib, restoreMib }
}

test('of replicate and restore: 300 MB in one transaction, 100 MB in many, in an outage', async () => {
  const small = await weathered(2)
  const large = await weathered(300)
  process.stderr.write(`bounds: 2 MB ${JSON.stringify(small)}, 300 MB ${JSON.stringify(large)}\n`)
  expect(large.replicateMib - small.replicateMib).toBeLessThan(REPLICATE_GROWTH_MIB)
  expect(large.restoreMib - small.restoreMib).toBeLessThan(RESTORE_GROWTH_MIB)
}, 300_000)

test('of a listing: 20,000 objects', async () => {
  const directory = tempDirectory('listing')
  const peaks: number[] = []
  for (const count of [200, 20_000]) {
    const replica = join(directory, String(count))
    mkdirSync(join(replica, dirname(segmentKey('0123456789abcdef', 0, 0))), { recursive: true })
    for (let i = 0; i < count; i++) writeFileSync(join(replica, segmentKey('0123456789abcdef', i >> 8, i & 255)), '')
    peaks.push(await peakOf(['wal', `file://${replica}`]))
  }
  const [small = 0, large = 0] = peaks
  process.stderr.write(`bounds: 200 objects ${small} MiB, 20,000 objects ${large} MiB\n`)
  expect(large - small).toBeLessThan((20_000 * LISTED_OBJECT_BYTES) / 2 ** 20 + 32)
}, 120_000)

test('descriptors do not grow, however often the application comes and goes', async () => {
  const directory = tempDirectory('descriptors')
  const path = join(directory, 'source', 'app.db')
  mkdirSync(dirname(path))
  const replica = join(directory, 'replica')
  const config = `dbs:\n- path: ${path}\n  monitor-interval: 10ms\n  replicas:\n  - {path: ${replica}, sync-interval: 10ms}\n`
  const daemon = await startWithConfig(directory, config)
  /** An application's life; every third time the database is replaced by another. */
  const live = async (turn: number, whileOpen: () => Promise<void> | void): Promise<void> => {
    if (turn % 3 === 2) for (const name of readdirSync(dirname(path))) rmSync(join(dirname(path), name))
    const heavy = new Heavy(path)
    const before = daemon.output().split('wal segment written').length
    await until(() => /following the WAL/.test(daemon.output()))
    heavy.insert(1)
    await until(
      () => {
        // A commit between two looks at a new database is part of its snapshot; the next one is a segment.
        heavy.insert(1)
        return daemon.output().split('wal segment written').length > before
      },
      { intervalMs: 50, what: `a segment in turn ${turn} of\n${daemon.output().slice(-2000)}` },
    )
    await whileOpen()
    heavy.close()
  }
  // Counted while the database is followed: whether it still is a moment after it was closed is a matter of time. And for a while:
  // its second connection is opened only when the pin is first moved, some time after everything was checkpointed.
  let usual = 0
  const countUsual = async (): Promise<void> => {
    for (let look = 0; look < 40; look++) {
      usual = Math.max(usual, descriptorsOf(daemon.pid))
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
  for (let turn = 0; turn < 6; turn++) await live(turn, countUsual)
  for (let turn = 6; turn < 24; turn++) await live(turn, () => {})
  await live(24, async () => {
    await until(() => descriptorsOf(daemon.pid) <= usual, { what: `the descriptors to become ${usual} again` })
  })
  expect((await daemon.stop()).code).toBe(0)
}, 120_000)
