// The simulator: see world.ts. How a failing seed is run again is in seeds.ts.

import { expect, test } from 'vitest'
import { first, testSeeds } from './seeds.js'
import { simulate } from './world.js'

testSeeds(0)

test('a seed is a run: twice the same', async () => {
  for (let seed = first; seed < first + 5; seed++) {
    const [once, again] = [await simulate(seed), await simulate(seed)]
    expect(again.trace).toEqual(once.trace)
    expect(again.traceHash).toBe(once.traceHash)
  }
})
