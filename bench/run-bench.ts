// Runs one benchmark from beginning to end; the result says where and how.

import type { MinioServer } from '../test/support/minio.js'
import type { Bench } from './bench.js'
import { describeMachine } from './machine.js'
import type { Result } from './result.js'
import { parseSettings } from './settings.js'
import { openStage } from './stage.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

const minutes = (seconds: number): string =>
  seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} minutes`

/** `given` are the texts of flags, by their names in camel case. */
export async function runBench(
  bench: Bench,
  given: Readonly<Record<string, string>>,
  say: (text: string) => void,
  lent?: MinioServer,
): Promise<Result> {
  const settings = parseSettings(bench.flags, given)
  say(`${bench.name}: about ${minutes(bench.estimateSeconds(settings))}`)
  const began = new Date()
  const stage = await openStage(say, lent)
  const interrupted = () => void stage.close().finally(() => process.exit(130))
  for (const signal of SIGNALS) process.once(signal, interrupted)
  try {
    const measured = await bench.run(stage, settings)
    const machine = await describeMachine()
    const elapsedSeconds = Math.round((Date.now() - began.getTime()) / 1000)
    say(`${bench.name}: took ${elapsedSeconds} s`)
    const about = { version: 2, bench: bench.name, startedAt: began.toISOString(), elapsedSeconds } as const
    return { ...about, machine, settings, ...measured }
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted)
    await stage.close()
  }
}
