// Thirty days of four databases with the policy that Rails applications are told to use, with the real shipper and the real
// retention, on a clock that runs as fast as it can. All along, moments of the window (its very beginning among them) are asked for,
// and must be planned to exactly the commit that was the last one then; each day one is really restored. What is stored stays bounded.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TimerClock } from '../../../src/clock.js'
import { silentLogger } from '../../../src/logger.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { Retention } from '../../../src/replicate/retention.js'
import type { SourceState } from '../../../src/replicate/sink.js'
import { restoreDatabase } from '../../../src/restore/restore.js'
import { selectReplica } from '../../../src/restore/select.js'
import { keysBelow } from '../../contract/bodies.js'
import { Random } from '../../crash/random.js'
import { PAGES, ScriptedSource, shipperOf } from '../../support/scripted-source.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const START = Date.UTC(2026, 0, 1)
const SEED = 20260101

/** One clock for all; timers are real, and only waited for where time does not matter. */
class FastClock implements TimerClock {
  ms = START
  now = () => this.ms
  monotonic = () => this.ms - START
  uptime = () => ({ boot: 'test', ms: this.ms })
  after = (ms: number, then: () => void) => {
    const timer = setTimeout(then, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  }
  turn = () => new Promise<void>((resolve) => setImmediate(resolve))
}

class ClockedSource extends ScriptedSource {
  constructor(private readonly clock: FastClock) {
    super()
  }

  override state(): SourceState {
    return { ...super.state(), observedAtMs: this.clock?.now() ?? START }
  }
}

const POLICIES = [
  { name: 'primary', everyMs: 80 * MINUTE, snapshotIntervalMs: HOUR, retentionMs: 720 * HOUR },
  { name: 'cache', everyMs: 30 * MINUTE, snapshotIntervalMs: 6 * HOUR, retentionMs: 24 * HOUR },
  { name: 'queue', everyMs: 40 * MINUTE, snapshotIntervalMs: HOUR, retentionMs: 72 * HOUR },
  { name: 'cable', everyMs: 50 * MINUTE, snapshotIntervalMs: 6 * HOUR, retentionMs: 24 * HOUR },
  // Not of the table: as 0.3.13 by default.
  { name: 'default', everyMs: 40 * MINUTE, snapshotIntervalMs: 0, retentionMs: 24 * HOUR },
] as const

test.each(POLICIES)(
  '$name',
  async ({ everyMs, snapshotIntervalMs, retentionMs }) => {
    const random = new Random(SEED)
    const clock = new FastClock()
    const source = new ClockedSource(clock)
    const client = new MemoryClient({ clock })
    const shipper = shipperOf(source, client, snapshotIntervalMs, { retentionMs, clock })
    const retention = new Retention(shipper, { client, retentionMs, checkIntervalMs: HOUR, clock, log: silentLogger })
    const commits: { atMs: number; pages: Buffer }[] = []
    let snapshots = 0
    const objects = async (): Promise<number> => {
      const keys = await keysBelow(client, 'generations/')
      snapshots = keys.filter((key) => key.includes('/snapshots/')).length
      return keys.length
    }
    const shipped = async () => {
      for (let turn = 0; turn < 3000; turn++) {
        if (shipper.inSync && (await shipper.settle(0)) === undefined) break
        await clock.turn()
      }
      await until(() => shipper.inSync, { what: 'the shipper to be in sync', intervalMs: 1 })
      await shipper.settle(5000)
    }
    const commit = async () => {
      source.commit(2 + random.below(PAGES - 1))
      commits.push({ atMs: clock.ms, pages: Buffer.concat(source.pages) })
      await shipped()
    }
    const stateAt = (atMs: number) => commits.findLast((one) => one.atMs <= atMs) as (typeof commits)[number]

    shipper.start()
    await shipped()
    await commit()
    const directory = tempDirectory('thirty-days')
    let most = 0
    for (let nextCheckMs = START + HOUR, nextRestoreMs = START + DAY; clock.ms < START + 32 * DAY; ) {
      clock.ms += everyMs
      // At night nobody works.
      if ((clock.ms - START) % DAY < 20 * HOUR) await commit()
      if (clock.ms < nextCheckMs) continue
      nextCheckMs += HOUR
      await retention.check()
      const beginMs = Math.max(commits[0]?.atMs ?? 0, clock.ms - retentionMs)
      for (const atMs of [beginMs, beginMs + Math.floor(random.next() * (clock.ms - beginMs))]) {
        const replicas = [{ name: 'memory', client }]
        const target = { kind: 'time', atMs } as const
        if (random.chance(0.15)) {
          const { usable } = await selectReplica(replicas, target, undefined)
          const expected = stateAt(atMs).atMs
          const state = usable[0]?.plan.stateAtMs ?? 0
          // A snapshot stands for a later moment than the commit that it holds.
          const context = `seed ${SEED}, ${new Date(clock.ms).toISOString()}, asked for ${new Date(atMs).toISOString()}`
          expect(stateAt(state).atMs, context).toBe(expected)
        }
        if (clock.ms < nextRestoreMs) continue
        nextRestoreMs += DAY
        const outputPath = join(directory, `${clock.ms}-${atMs}.db`)
        const options = { integrityCheck: 'none', parallelism: 1, logger: silentLogger, monotonic: () => 0 } as const
        expect(await restoreDatabase({ replicas, outputPath, target, ...options })).toBeDefined()
        expect(readFileSync(outputPath).equals(stateAt(atMs).pages)).toBe(true)
      }
      if (random.chance(0.8)) continue
      most = Math.max(most, await objects())
      const spanMs = retentionMs + (snapshotIntervalMs || retentionMs)
      // Two hours for a check and a snapshot that are on their way; every commit is at most a segment, a snapshot is preceded by the end of an index.
      const window = spanMs + 2 * HOUR + everyMs
      const snapshotsMax = window / (snapshotIntervalMs || retentionMs) + 2
      expect(snapshots).toBeLessThanOrEqual(snapshotsMax)
      expect(most).toBeLessThanOrEqual(window / everyMs + 2 * snapshotsMax + 2)
    }
    await shipper.stop(5000)
  },
  120_000,
)
