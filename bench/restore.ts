// Restores from one replica: a large snapshot and the segments of a while of web load, written by 0.3.13, whose layout all of
// them read. Without checks of the result; with ours also as it is by default, checked.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { mustRun } from '../test/support/process.js'
import { atMost, defineBench } from './bench.js'
import { CONTENDERS, type Contender, runCommand } from './contenders.js'
import { type LoadReport, type Mark, NEWEST_TRANSACTION_SQL } from './loads.js'
import type { Run } from './result.js'
import { Scene } from './scene.js'
import { names, number } from './settings.js'
import { turned } from './statistics.js'

const RESTORERS = ['litestream-0.3.13', 'litestream-0.5.17', 'ours'] as const
const UNCHECKED: readonly string[] = ['-integrity-check', 'none']

export interface Restored {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMemoryBytes: number
}

/** A restore by this contender's command, which must give transaction `last`. */
export async function timeRestore(
  scene: Scene,
  contender: Contender,
  flags: readonly string[],
  last: number,
): Promise<Restored> {
  const output = join(scene.directory, 'timed.db')
  const remove = () => {
    for (const suffix of ['', '-wal', '-shm', '-txid']) rmSync(output + suffix, { force: true })
  }
  await mustRun('sync', [], { timeoutMs: 600_000 })
  try {
    const words = ['restore', '-config', scene.configPath, ...flags, '-o', output, scene.databasePath]
    const ran = await runCommand(contender, words)
    if (ran.code !== 0) throw new Error(`${contender} could not restore:\n${ran.output}`)
    const database = new Database(output)
    const { transaction } = database.prepare(NEWEST_TRANSACTION_SQL).get() as Mark
    database.close()
    if (transaction !== last) throw new Error(`${contender} restored transaction ${transaction} instead of ${last}`)
    return { seconds: ran.milliseconds / 1000, cpuSeconds: ran.cpuSeconds, peakMemoryBytes: ran.peakMemoryBytes }
  } finally {
    remove()
  }
}

export const restoreBench = defineBench({
  name: 'restore',
  title: 'restore: a large snapshot and 20 s of segments, from one replica that 0.3.13 wrote',
  layout: 'contenders',
  rows: [
    {
      figure: 'seconds',
      label: 'without checks',
      unit: 's',
      aim: atMost('0.8 of the better one', (value) => {
        const others = [value('litestream-0.3.13', 'seconds'), value('litestream-0.5.17', 'seconds')]
        return 0.8 * Math.min(...others.filter(Number.isFinite), Number.POSITIVE_INFINITY)
      }),
    },
    { figure: 'cpuSeconds', label: 'CPU', unit: 's' },
    {
      figure: 'peakMemoryBytes',
      label: 'peak memory',
      unit: 'bytes',
      aim: atMost('200 MB', () => 200e6),
    },
    { figure: 'checkedSeconds', label: 'with the check that ours makes by default', unit: 's' },
  ],
  flags: {
    contenders: names(RESTORERS, CONTENDERS, 'who is compared'),
    pairs: number(7, 'rounds in which each contender has its turn'),
    sizeMb: number(1000, 'size of the database'),
    seconds: number(20, 'of web load'),
    seed: number(1, 'of the rows'),
  },

  estimateSeconds: ({ contenders, pairs, sizeMb, seconds }) =>
    20 + sizeMb / 15 + seconds + pairs * (contenders.length + 1) * (2 + sizeMb / 300),

  async run(stage, { contenders, pairs, sizeMb, seconds, seed }) {
    const runs: Run[] = []
    const there = stage.contenders.filter((contender) => contender !== 'bare' && contenders.includes(contender))
    const scene = await Scene.start(stage, 'litestream-0.3.13', { databaseBytes: sizeMb * 1e6 })
    try {
      const load = { kind: 'web', forMs: seconds * 1000, seed }
      const { lastTransaction } = await scene.application.call<LoadReport>('load', load)
      const { restored, stored } = await scene.settle(lastTransaction)
      if (restored?.transaction !== lastTransaction) throw new Error('0.3.13 has not finished the replica')
      stage.say(`restore: a replica of ${stored.objects} objects, ${Math.round(stored.bytes / 1e6)} MB`)
      await scene.kill()
      for (let pair = 0; pair < pairs; pair++) {
        for (const contender of turned(there, pair)) {
          const flags = contender === 'ours' ? UNCHECKED : []
          const figures: Record<string, number> = { ...(await timeRestore(scene, contender, flags, lastTransaction)) }
          if (contender === 'ours') {
            figures.checkedSeconds = (await timeRestore(scene, contender, [], lastTransaction)).seconds
          }
          stage.say(`restore ${pair + 1}/${pairs} ${contender}: ${figures.seconds?.toFixed(2)} s`)
          runs.push({ contender, repetition: pair, figures })
        }
      }
    } finally {
      await scene.remove()
    }
    return { runs }
  },
})
