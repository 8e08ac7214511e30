import { expect, test } from 'vitest'
import { planResume, tooDifferent } from '../../../src/plan/resume-plan.js'

const lost = { continuity: 'why', generation: true, namesLeft: true, digests: true }

test.for([
  [{ ...lost, continuity: true as const }, { how: 'continue' }],
  [lost, { how: 'heal', reason: 'why' }],
  [
    { ...lost, digests: false },
    { how: 'new-generation', reason: 'why' },
  ],
  [
    { ...lost, generation: false },
    { how: 'new-generation', reason: 'why' },
  ],
  [
    { ...lost, namesLeft: false },
    { how: 'new-generation', reason: 'max index exceeded' },
  ],
  [
    { ...lost, continuity: true as const, namesLeft: false },
    { how: 'new-generation', reason: 'max index exceeded' },
  ],
] as const)('%j: %j', ([facts, plan]) => expect(planResume(facts)).toEqual(plan))

test('a difference is too large when it is most of a database that is worth a thought, or a gigabyte', () => {
  expect(tooDifferent(1000, 1000, 4096)).toBe(false)
  expect(tooDifferent(10_000, 30_000, 4096)).toBe(false)
  expect(tooDifferent(16_000, 30_000, 4096)).toBe(true)
  expect(tooDifferent(300_000, 3_000_000, 4096)).toBe(true)
})
