// Each branch of the rule, by the reason it gives.

import { expect, test } from 'vitest'
import { type CrossingFacts, judgeCrossing } from '../../../src/sqlite/crossing.js'

const facts: CrossingFacts = {
  oldSalt1: 7,
  newSalt1: 8,
  oldChange: 100,
  newChange: 105,
  newCommits: 5,
  tailCommits: 0,
  repeatedCommits: false,
  pads: 'unknown',
  attached: true,
}

test.for<[string, Partial<CrossingFacts>, number | string]>([
  ['nothing is missing', {}, 0],
  ['nothing is missing, and the tail holds ghosts', { tailCommits: 3 }, 0],
  ['nothing is missing, over several restarts', { newSalt1: 20 }, 0],
  ['two commits of the tail are missing', { newChange: 107, tailCommits: 2 }, 2],
  ['two commits of the tail are missing, a third is a ghost', { newChange: 107, tailCommits: 3 }, 2],
  ['the tail is too short', { newChange: 107, tailCommits: 1 }, /before all of its commits were read/],
  ['a missing commit may be of a cycle in between', { newChange: 106, tailCommits: 1, newSalt1: 9 }, /more than once/],
  ['the counter was reset', { newChange: 3 }, /fell back/],
  ['the counter wraps', { oldChange: 0xffffffff, newChange: 4 }, 0],
  ['salt-1 wraps', { oldSalt1: 0xffffffff, newSalt1: 0, newChange: 106, tailCommits: 1 }, 1],
  ['no lock was held', { attached: false }, /no wal-index lock was held/],
  ['padding is possible', { repeatedCommits: true }, /padded/],
  ['padding was seen', { repeatedCommits: true, pads: 'yes' }, /padded/],
  ['padding was ruled out', { repeatedCommits: true, pads: 'no' }, 0],
] as [string, Partial<CrossingFacts>, number | string][])('%s', ([, change, expected]) => {
  const verdict = judgeCrossing({ ...facts, ...change })
  if (typeof expected === 'number') expect(verdict).toEqual({ proven: true, takeFromTail: expected })
  else expect(verdict).toEqual({ proven: false, reason: expect.stringMatching(expected) })
})
