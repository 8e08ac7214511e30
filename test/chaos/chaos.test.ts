// Chaos with the real things, on one replica for the whole run; see chaos-world.ts. By default 40 cycles.
//
//   CHAOS_CYCLES=1000 npx vitest run test/chaos       that many
//   CHAOS_SEED=<n>                                    the same choices again (the machine's timing is its own)
//   CHAOS_MINUTES=120                                 a soak: longer lives, few kills, web-like load, until the time is up
//   CHAOS_RECORD=<file>                               where the figures go, as JSON; of a soak also <file>.csv, a line a second

import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { compileApplication } from '../crash/application-process.js'
import { minioServer } from '../support/minio.js'
import { distMain } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { spreadOf } from './behind.js'
import { type ChaosOptions, ChaosWorld, type KillRecord } from './chaos-world.js'
import { UsageRecord } from './usage-record.js'

const cycles = Number(process.env.CHAOS_CYCLES ?? 40)
const minutes = Number(process.env.CHAOS_MINUTES ?? 0)
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31))
const record = process.env.CHAOS_RECORD
/** With the last cycle always. */
const CATCH_UP_EVERY = 10

const SHORT = {
  lifeMs: [150, 900],
  kill: 0.6,
  terminate: 0.15,
  application: { paceMs: 4, autoCheckpoint: 200 },
} as const
/** About a hundred transactions a second, as a web application's. */
const SOAK = {
  lifeMs: [2000, 12_000],
  kill: 0.04,
  terminate: 0.03,
  application: { paceMs: 8, autoCheckpoint: 1000 },
} as const

describe('in any weather, killed, stopped and frozen, the replica holds exactly a committed state', () => {
  test('chaos', { timeout: minutes > 0 ? 0 : cycles * 30_000 }, async () => {
    const directory = tempDirectory('chaos')
    const life = minutes > 0 ? SOAK : SHORT
    process.stderr.write(`chaos: CHAOS_SEED=${seed}, ${minutes > 0 ? `${minutes} minutes` : `${cycles} cycles`}\n`)
    await distMain()
    const script = compileApplication(join(directory, 'application'))
    const options: ChaosOptions = { ...life, seed, directory, script, endpoint: (await minioServer()).endpoint }
    const world = await ChaosWorld.make(options)
    onTestFinished(() => world.close())
    const usage = new UsageRecord(() => world.daemon?.pid, record && minutes > 0 ? `${record}.csv` : undefined)
    onTestFinished(() => usage.stop())

    const startMs = performance.now()
    const elapsedMs = (): number => performance.now() - startMs
    let done = 0
    const isLast = (): boolean => (minutes > 0 ? elapsedMs() >= minutes * 60_000 : done + 1 >= cycles)
    for (let last = false; !last; done++) {
      last = isLast()
      await world.cycle(last || done % CATCH_UP_EVERY === CATCH_UP_EVERY - 1)
    }
    // Everything that deletes, copies or compares has been at work.
    if (minutes === 0) await world.untilPoliciesWorked()

    const { counts, faults, requests, reasons, state } = world
    const seconds = Math.round(elapsedMs() / 1000)
    const behind = { all: behindAt(world.kills), calm: behindAt(world.kills.filter(({ calm }) => calm)) }
    const figures = { seed, cycles: done, seconds, commits: state, requests, behind, counts, faults, reasons }
    process.stderr.write(`chaos: ${JSON.stringify(figures)}\n`)
    if (record) writeFileSync(record, `${JSON.stringify({ ...figures, usage: usage.summary() }, undefined, 2)}\n`)

    // The weather was what it was meant to be, and something happened in it.
    expect(state).toBeGreaterThan(done)
    expect(counts['caught up']).toBeGreaterThan(0)
    expect(counts['restored by 0.3.13']).toBeGreaterThan(0)
    if (minutes === 0 && cycles >= 40) {
      expect(counts.killed).toBeGreaterThan(cycles / 4)
      expect(Object.keys(faults).length).toBeGreaterThan(5)
    }
  })
})

function behindAt(kills: readonly KillRecord[]) {
  return { ms: spreadOf(kills.map(({ ms }) => ms)), commits: spreadOf(kills.map(({ commits }) => commits)) }
}
