// How long commands take that only list something: from the start of the process to its end.

import { atMost, defineBench } from './bench.js'
import { CONTENDERS, type Contender, runCommand } from './contenders.js'
import type { Run } from './result.js'
import { Scene } from './scene.js'
import { names, number } from './settings.js'
import { turned } from './statistics.js'

const COMMANDS = ['litestream-0.3.13', 'litestream-0.5.17', 'ours'] as const

export const startBench = defineBench({
  name: 'start',
  title: 'start: commands that list, from the start of the process to its end',
  layout: 'contenders',
  rows: [
    {
      figure: 'databasesMs',
      label: '`databases`, of the configuration alone',
      unit: 'ms',
      aim: atMost('150 ms', () => 150),
    },
    { figure: 'snapshotsMs', label: '`snapshots`, of a replica on S3', unit: 'ms', aim: atMost('150 ms', () => 150) },
    { figure: 'peakMemoryBytes', label: 'peak memory of `databases`', unit: 'bytes' },
  ],
  flags: {
    contenders: names(COMMANDS, CONTENDERS, 'who is compared'),
    pairs: number(20, 'rounds in which each contender has its turn'),
  },

  estimateSeconds: ({ contenders, pairs }) => 15 + pairs * contenders.length * 0.4,

  async run(stage, { contenders, pairs }) {
    const runs: Run[] = []
    const there = stage.contenders.filter((contender) => contender !== 'bare' && contenders.includes(contender))
    const scene = await Scene.start(stage, 'litestream-0.3.13', { databaseBytes: 1e5, syncIntervalMs: 100 })
    const listing = async (contender: Contender, ...words: string[]) => {
      const [command = '', ...rest] = words
      const ran = await runCommand(contender, [command, '-config', scene.configPath, ...rest])
      if (ran.code === 0) return ran
      throw new Error(`${contender} ${command} ended with ${ran.code}:\n${ran.output}`)
    }
    try {
      await scene.kill()
      for (let pair = 0; pair < pairs; pair++) {
        for (const contender of turned(there, pair)) {
          const databases = await listing(contender, 'databases')
          const figures: Record<string, number> = {
            databasesMs: databases.milliseconds,
            peakMemoryBytes: databases.peakMemoryBytes,
          }
          // 0.5.17 has no such command, and keeps none of them.
          if (contender !== 'litestream-0.5.17') {
            figures.snapshotsMs = (await listing(contender, 'snapshots', scene.databasePath)).milliseconds
          }
          runs.push({ contender, repetition: pair, figures })
        }
      }
    } finally {
      await scene.remove()
    }
    return { runs }
  },
})
