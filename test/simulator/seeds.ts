// Runs of the simulator as tests, in as many files as there are shards: files run side by side. A failing seed prints its trace, and
// is run again alone with
//
//   SIM_SEED=1234 npx vitest run test/simulator/simulator.test.ts
//
// SIM_SEEDS and SIM_FROM choose others; thousands of them are quicker with `npm run simulate -- --seeds 100000 --from 1`.

import { expect, test } from 'vitest'
import { type Result, simulate } from './world.js'

const SHARDS = 2
/** Half a minute of two processors. */
const SEEDS = 2000
const FAILURES_MAX = 5

const only = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED)
export const first = only ?? Number(process.env.SIM_FROM ?? 1)

function tell({ seed, violation, trace }: Result): string {
  console.log(`${trace.join('\n')}\n\nSIM_SEED=${seed} runs it again`)
  return `seed ${seed}: ${violation}`
}

/** One shard's share of the seeds; shards count from 0. A single seed is the first one's. */
export function testSeeds(shard: number): void {
  const count = only === undefined ? Math.ceil(Number(process.env.SIM_SEEDS ?? SEEDS) / SHARDS) : 1
  const from = first + shard * count
  const title = `${count} seeds from ${from}: nothing is ever wrong, and all comes right in the end`
  test.runIf(only === undefined || shard === 0)(
    title,
    async () => {
      const startMs = performance.now()
      const failures: string[] = []
      const total = { seeds: 0, commits: 0, objects: 0 }
      for (let seed = from; seed < from + count && failures.length < FAILURES_MAX; seed++) {
        const result = await simulate(seed)
        total.seeds++
        total.commits += result.commits
        total.objects += result.objects
        if (result.violation !== undefined) failures.push(tell(result))
      }
      console.log(`${JSON.stringify(total)} in ${Math.round(performance.now() - startMs)} ms`)
      expect(failures).toEqual([])
    },
    120_000 + count * 500,
  )
}
