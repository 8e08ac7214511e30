// The first snapshot of a large database: from the start of the replicator until it is stored.

import { atMost, defineBench } from './bench.js'
import { CONTENDERS } from './contenders.js'
import type { Run } from './result.js'
import { Scene } from './scene.js'
import { names, number } from './settings.js'
import { turned } from './statistics.js'
import { trafficBetween, trafficOf } from './traffic.js'

const REPLICATORS = ['litestream-0.3.13', 'litestream-0.5.17', 'ours'] as const

export const snapshotBench = defineBench({
  name: 'snapshot',
  title: 'snapshot: the first one of a large database, which is open and at rest',
  layout: 'contenders',
  rows: [
    {
      figure: 'snapshotSeconds',
      label: 'from the start until it is stored',
      unit: 's',
      aim: atMost("0.5 of 0.3.13's", (value) => 0.5 * value('litestream-0.3.13', 'snapshotSeconds')),
    },
    { figure: 'cpuSeconds', label: 'CPU, until at rest', unit: 's' },
    { figure: 'peakMemoryBytes', label: 'peak memory', unit: 'bytes' },
    { figure: 'storedBytes', label: 'stored', unit: 'bytes' },
    { figure: 'sentBytes', label: 'sent', unit: 'bytes' },
  ],
  flags: {
    contenders: names(REPLICATORS, CONTENDERS, 'who is compared'),
    pairs: number(3, 'rounds in which each contender has its turn'),
    sizeMb: number(1000, 'size of the database'),
  },

  estimateSeconds: ({ contenders, pairs, sizeMb }) => 10 + sizeMb / 30 + pairs * contenders.length * (5 + sizeMb / 50),

  async run(stage, { contenders, pairs, sizeMb }) {
    const runs: Run[] = []
    const there = stage.contenders.filter((contender) => contender !== 'bare' && contenders.includes(contender))
    for (let pair = 0; pair < pairs; pair++) {
      for (const contender of turned(there, pair)) {
        const before = await trafficOf(stage.minio)
        const scene = await Scene.start(stage, contender, { databaseBytes: sizeMb * 1e6 })
        try {
          const usage = scene.replicator?.usage()
          const { bytes } = await scene.stored()
          const sent = trafficBetween(before, await trafficOf(stage.minio))
          const figures = {
            snapshotSeconds: scene.snapshotMs / 1000,
            cpuSeconds: usage?.cpuSeconds ?? 0,
            peakMemoryBytes: usage?.peakMemoryBytes ?? 0,
            storedBytes: bytes,
            sentBytes: sent.receivedBytes,
          }
          stage.say(`snapshot ${pair + 1}/${pairs} ${contender}: ${figures.snapshotSeconds.toFixed(2)} s`)
          runs.push({ contender, repetition: pair, figures })
        } finally {
          await scene.remove()
        }
      }
    }
    return { runs }
  },
})
