// The simulator: see world.ts. A failing seed prints its trace, and is run again alone with
//
//   SIM_SEED=1234 npx vitest run test/simulator/simulator.test.ts
//
// A long run: SIM_SEEDS=100000, from SIM_FROM (1).

import { expect, test } from 'vitest'
import { type Result, simulate } from './world.js'

const only = process.env.SIM_SEED === undefined ? undefined : Number(process.env.SIM_SEED)
const from = only ?? Number(process.env.SIM_FROM ?? 1)
const count = only === undefined ? Number(process.env.SIM_SEEDS ?? 300) : 1
const FAILURES_MAX = 5
/** Alone on a fast machine a seed takes 30 ms. */
const LIMIT_MS = 120_000 + count * 500

function tell({ seed, violation, trace }: Result): string {
  console.log(`${trace.join('\n')}\n\nSIM_SEED=${seed} runs it again`)
  return `seed ${seed}: ${violation}`
}

test(
  `${count} seeds from ${from}: nothing is ever wrong, and all comes right in the end`,
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
  LIMIT_MS,
)

test('a seed is a run: twice the same', async () => {
  for (let seed = from; seed < from + 5; seed++) {
    const [once, again] = [await simulate(seed), await simulate(seed)]
    expect(again.trace).toEqual(once.trace)
    expect(again.traceHash).toBe(once.traceHash)
  }
})
