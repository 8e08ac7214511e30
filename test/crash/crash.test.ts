// The daemon is killed with SIGKILL at random moments while an application writes; see world.ts. By default 40 kills.
//
//   CRASH_KILLS=1000 npx vitest run test/crash       that many
//   CRASH_SEED=<n>                                   the same choices again (the machine's timing is its own)
//   CRASH_WORLD=<n>                                  only this world of them

import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { distMain } from '../support/programs.js'
import { suiteDirectory } from '../support/temp.js'
import { compileApplication } from './application-process.js'
import { mixSeeds } from './random.js'
import { MOMENTS, type Moment, World, type WorldReport } from './world.js'

const KILLS_PER_WORLD = 8
const kills = Number(process.env.CRASH_KILLS ?? 40)
const seed = Number(process.env.CRASH_SEED ?? randomInt(2 ** 31))
const only = process.env.CRASH_WORLD
const worlds = Array.from({ length: Math.ceil(kills / KILLS_PER_WORLD) }, (_, world) => world).filter(
  (world) => only === undefined || world === Number(only),
)

/** Each world goes through all moments, beginning with another one. */
const momentsOf = (world: number): Moment[] =>
  Array.from({ length: KILLS_PER_WORLD }, (_, i) => MOMENTS[(world * 3 + i) % MOMENTS.length] as Moment)

describe('killed at random moments, the replica always holds exactly a committed state', () => {
  const directory = suiteDirectory('crash')
  const reports: WorldReport[] = []
  let script = ''

  beforeAll(async () => {
    process.stderr.write(`crash test: CRASH_SEED=${seed}, ${kills} kills in ${worlds.length} worlds\n`)
    await distMain()
    script = compileApplication(join(directory, 'application'))
  })

  afterAll(() => {
    const sum: Record<string, number> = {}
    for (const { stages, reasons, ...counts } of reports) {
      for (const [name, count] of Object.entries({ ...counts, ...stages, ...reasons }))
        sum[name] = (sum[name] ?? 0) + count
    }
    process.stderr.write(`crash test: ${JSON.stringify(sum)}\n`)
  })

  test.concurrent.each(worlds)(
    'world %i',
    async (world) => {
      const path = join(directory, `world-${world}`)
      const kind = world % 4 === 3 ? 's3' : 'file'
      const report = await World.run({
        seed: mixSeeds(seed, world),
        kind,
        directory: path,
        script,
        moments: momentsOf(world),
      })
      reports.push(report)
      rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    },
    15 * 60_000,
  )

  test('every kill was followed by a restore, and the application got on with its work', () => {
    expect(reports).toHaveLength(worlds.length)
    expect(reports.reduce((sum, report) => sum + report.kills, 0)).toBeGreaterThanOrEqual(
      worlds.length * KILLS_PER_WORLD,
    )
    for (const report of reports) expect(report.state).toBeGreaterThan(0)
  })
})
