// Would the simulator notice? Each deliberate bug of canaries.ts has to be found within a few hundred seeds. (That nothing is found
// without one is what simulator.test.ts says.)

import { afterEach, expect, test, vi } from 'vitest'
import { CANARIES } from './canaries.js'
import type { Result } from './world.js'

const SEEDS_MAX = 1000
const LIMIT_MS = 180_000

afterEach(() => {
  vi.resetModules()
})

test.each(CANARIES)(
  'caught: $name',
  async ({ name, module, changes }) => {
    vi.resetModules()
    const path = module && `../../src/${module[0]}.js`
    if (module && path) {
      vi.doMock(path, async (importOriginal) => {
        const exports = await importOriginal<Record<string, unknown>>()
        return { ...exports, ...module[1](exports) }
      })
    }
    try {
      const { simulate } = (await import('./world.js')) as typeof import('./world.js')
      let result: Result | undefined
      let seed = 0
      do result = await simulate(++seed, changes)
      while (result.violation === undefined && seed < SEEDS_MAX)
      expect(result.violation, `${name}: ${SEEDS_MAX} seeds and nobody noticed`).toBeDefined()
      console.log(`seed ${seed} caught "${name}": ${result.violation}`)
    } finally {
      if (path) vi.doUnmock(path)
    }
  },
  LIMIT_MS,
)
