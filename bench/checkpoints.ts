// How long the application's own checkpoints wait for a replicator, and whether they fail.

import { atMost, defineBench } from './bench.js'
import { CONTENDERS } from './contenders.js'
import type { CheckpointMode, LoadKind, LoadReport } from './loads.js'
import type { Run } from './result.js'
import { Scene } from './scene.js'
import { names, number } from './settings.js'
import { turned } from './statistics.js'

interface CheckpointPattern {
  readonly name: string
  readonly kind: LoadKind
  readonly mode: CheckpointMode
  readonly everyMs: number
}

const PATTERNS: readonly CheckpointPattern[] = [
  { name: 'truncate-web', kind: 'web', mode: 'TRUNCATE', everyMs: 500 },
  { name: 'restart-web', kind: 'web', mode: 'RESTART', everyMs: 500 },
  { name: 'full-web', kind: 'web', mode: 'FULL', everyMs: 500 },
  { name: 'truncate-flat', kind: 'flat', mode: 'TRUNCATE', everyMs: 500 },
  { name: 'restart-flat', kind: 'flat', mode: 'RESTART', everyMs: 200 },
]
const PATTERN_NAMES = PATTERNS.map(({ name }) => name)

/** One figure for each pattern, so that each is a row with an aim of its own. */
const longestOf = (pattern: string) => `${pattern}LongestMs`
const failedOf = (pattern: string) => `${pattern}Failed`

export const checkpointsBench = defineBench({
  name: 'checkpoints',
  title: "checkpoints: the application's own, TRUNCATE, RESTART and FULL, under web and flat",
  layout: 'contenders',
  rows: PATTERN_NAMES.flatMap((name) => [
    {
      figure: longestOf(name),
      label: `${name}: longest wait`,
      unit: 'ms',
      over: 'worst',
      aim: atMost('bare + 250 ms', (median) => median('bare', longestOf(name)) + 250),
    } as const,
    {
      figure: failedOf(name),
      label: `${name}: failed`,
      unit: 'count',
      over: 'sum',
      aim: atMost('never', () => 0),
    } as const,
  ]),
  flags: {
    contenders: names(CONTENDERS, CONTENDERS, 'who is compared'),
    patterns: names(PATTERN_NAMES, PATTERN_NAMES, 'which ones'),
    pairs: number(1, 'rounds in which each contender has its turn'),
    seconds: number(3, 'of each pattern'),
    databaseMb: number(50, 'size of the database at the beginning'),
    syncIntervalMs: number(1000, 'of the replica'),
    seed: number(1, 'of the rows'),
  },

  estimateSeconds: ({ contenders, patterns, pairs, seconds }) =>
    10 + pairs * patterns.length * (contenders.length * (seconds + 4) + 8),

  async run(stage, { contenders, patterns, pairs, seconds, databaseMb, syncIntervalMs, seed }) {
    const runs: Run[] = []
    const there = stage.contenders.filter((contender) => contenders.includes(contender))
    for (let pair = 0; pair < pairs; pair++) {
      for (const { name, kind, mode, everyMs } of PATTERNS.filter((pattern) => patterns.includes(pattern.name))) {
        for (const contender of turned(there, pair)) {
          const scene = await Scene.start(stage, contender, { databaseBytes: databaseMb * 1e6, syncIntervalMs })
          try {
            const load = { kind, forMs: seconds * 1000, seed: seed + pair, checkpoint: { mode, everyMs } }
            const report = await scene.application.call<LoadReport>('load', load)
            scene.replicator?.usage() // it must still be there
            const { checkpoints, failedCheckpoints, longestCheckpointMs } = report
            stage.say(
              `${name} ${pair + 1}/${pairs} ${contender}: longest of ${checkpoints} checkpoints ${longestCheckpointMs.toFixed(1)} ms, ${failedCheckpoints} failed`,
            )
            const figures = { [longestOf(name)]: longestCheckpointMs, [failedOf(name)]: failedCheckpoints, checkpoints }
            runs.push({ contender, repetition: pair, of: name, figures })
          } finally {
            await scene.remove()
          }
        }
      }
    }
    return { runs }
  },
})
