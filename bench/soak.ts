// Ours for a long time under web load, behind a proxy of faults: memory and descriptors as a series, and whether they grow. In the
// end the weather is calm, and the replica has to be complete.

import { setTimeout as sleep } from 'node:timers/promises'
import { UsageRecord } from '../test/chaos/usage-record.js'
import { CALM, weatherBy } from '../test/chaos/weather.js'
import { Random } from '../test/crash/random.js'
import { FaultProxy } from '../test/support/fault-proxy.js'
import { atLeast, atMost, defineBench } from './bench.js'
import type { LoadReport } from './loads.js'
import { Scene } from './scene.js'
import { number } from './settings.js'
import { mean } from './statistics.js'

const POINTS_MAX = 400
/** Where a tenth of the time is left out at the beginning: starting is no growth. */
const TENTHS = { first: [0.1, 0.2], last: [0.9, 1] } as const

export const soakBench = defineBench({
  name: 'soak',
  title: 'soak: web load for a long time while the store goes wrong in every way',
  layout: 'contenders',
  rows: [
    { figure: 'memoryFirstBytes', label: 'memory, mean of the second tenth', unit: 'bytes' },
    {
      figure: 'memoryLastBytes',
      label: 'memory, mean of the last tenth',
      unit: 'bytes',
      aim: atMost('1.15 of the second tenth', (value) => 1.15 * value('ours', 'memoryFirstBytes')),
    },
    { figure: 'memoryLargestBytes', label: 'memory, largest', unit: 'bytes' },
    { figure: 'descriptorsFirst', label: 'descriptors, mean of the second tenth', unit: 'count' },
    {
      figure: 'descriptorsLast',
      label: 'descriptors, mean of the last tenth',
      unit: 'count',
      aim: atMost('the second tenth + 5', (value) => value('ours', 'descriptorsFirst') + 5),
    },
    { figure: 'descriptorsLargest', label: 'descriptors, largest', unit: 'count' },
    { figure: 'cpuPercent', label: 'CPU', unit: 'percent' },
    { figure: 'transactions', label: 'transactions', unit: 'count' },
    { figure: 'requests', label: 'requests', unit: 'count' },
    { figure: 'faults', label: 'faults', unit: 'count' },
    { figure: 'complete', label: 'replica complete in the end', unit: 'yes', aim: atLeast('yes', () => 1) },
  ],
  flags: {
    minutes: number(60, 'how long'),
    databaseMb: number(50, 'size of the database at the beginning'),
    syncIntervalMs: number(1000, 'of the replica'),
    weatherSeconds: number(15, 'after which the weather changes, at most'),
    seed: number(1, 'of rows and faults'),
  },

  estimateSeconds: ({ minutes }) => 30 + minutes * 60,

  async run(stage, { minutes, databaseMb, syncIntervalMs, weatherSeconds, seed }) {
    const proxy = await FaultProxy.start(stage.minio.endpoint, seed)
    const random = new Random(seed)
    let scene: Scene | undefined
    let record: UsageRecord | undefined
    try {
      const options = { databaseBytes: databaseMb * 1e6, syncIntervalMs, endpoint: proxy.endpoint }
      const soaked = await Scene.start(stage, 'ours', options)
      scene = soaked
      const before = soaked.replicator!.usage()
      record = new UsageRecord(() => soaked.replicator?.pid, undefined)
      const beganMs = performance.now()
      const endsMs = beganMs + minutes * 60_000
      let report: LoadReport | undefined
      let transactions = 0
      for (let nowMs = beganMs; nowMs < endsMs; nowMs = performance.now()) {
        proxy.weather = weatherBy(random)
        const forMs = Math.min(endsMs - nowMs, 1000 + random.next() * Math.max(0, weatherSeconds - 1) * 1000)
        report = await soaked.application.call<LoadReport>('load', { kind: 'web', forMs, seed: seed + transactions })
        transactions += report.transactions
        soaked.replicator!.usage() // it must still be there
      }
      const elapsedSeconds = (performance.now() - beganMs) / 1000
      const { cpuSeconds } = soaked.replicator!.usage()
      proxy.weather = CALM
      // A sample a second; a short run has to wait for its first.
      while (record.samples.length < 2) await sleep(100)
      record.stop()
      const { samples } = record
      const { restored } = await soaked.settle(report!.lastTransaction, 300_000)
      const part = ([from, to]: readonly [number, number]) => {
        const some = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to))
        return some.length > 0 ? some : samples
      }
      const about = (of: (sample: (typeof samples)[number]) => number) => ({
        first: mean(part(TENTHS.first).map(of)),
        last: mean(part(TENTHS.last).map(of)),
        largest: samples.reduce((most, sample) => Math.max(most, of(sample)), 0),
      })
      const [memory, descriptors] = [about(({ rssBytes }) => rssBytes), about((sample) => sample.descriptors)]
      const figures = {
        memoryFirstBytes: memory.first,
        memoryLastBytes: memory.last,
        memoryLargestBytes: memory.largest,
        descriptorsFirst: descriptors.first,
        descriptorsLast: descriptors.last,
        descriptorsLargest: descriptors.largest,
        cpuPercent: ((cpuSeconds - before.cpuSeconds) / elapsedSeconds) * 100,
        transactions,
        requests: proxy.requests,
        faults: Object.values(proxy.counts).reduce((sum, count) => sum + count, 0),
        complete: restored?.transaction === report!.lastTransaction ? 1 : 0,
      }
      const every = Math.ceil(samples.length / POINTS_MAX)
      const points = samples
        .filter((_, i) => i % every === 0)
        .map((sample) => [sample.seconds, sample.rssBytes, sample.descriptors])
      const series = { name: 'ours', figures: ['memoryBytes', 'descriptors'], points }
      return { runs: [{ contender: 'ours', repetition: 0, figures }], series: [series] }
    } finally {
      record?.stop()
      await scene?.remove()
      await proxy.close()
    }
  },
})
