// The rule that crosses restarts of the WAL, against a model of what can have happened: whatever it calls proven is what was
// committed, and where exactly one restart happened under our eyes it does not give up without need.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { judgeCrossing } from '../../src/sqlite/crossing.js'

const count = fc.nat(5)
const past = fc.record({
  oldSalt1: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0xffffffff, 0xfffffffe)),
  oldChange: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 0xffffffff, 0x7fffffff)),
  /** Of the old cycle behind the cursor: real commits, and behind those ghosts. */
  unread: count,
  ghosts: count,
  /** Commits of each cycle that began and ended unseen. */
  unseen: fc.array(count, { maxLength: 3 }),
  newCommits: count,
  /** What is left of the tail: all of it, its beginning (the file was cut), or nothing (its beginning was overwritten). */
  left: fc.oneof(fc.constant('all' as const), count),
})

const uint32 = (value: number) => value >>> 0

const factsOf = (model: typeof past extends fc.Arbitrary<infer T> ? T : never) => {
  const { oldSalt1, oldChange, unread, ghosts, unseen, newCommits, left } = model
  const missed = unseen.reduce((sum, commits) => sum + commits, 0)
  const tail = unread + ghosts
  return {
    missed,
    facts: {
      oldSalt1,
      newSalt1: uint32(oldSalt1 + unseen.length + 1),
      oldChange,
      newChange: uint32(oldChange + unread + missed + newCommits),
      newCommits,
      tailCommits: left === 'all' ? tail : Math.min(left, tail),
      repeatedCommits: false,
      pads: 'unknown' as const,
      attached: true,
    },
  }
}

test('what is proven is the truth', () => {
  fc.assert(
    fc.property(past, (model) => {
      const { facts, missed } = factsOf(model)
      const verdict = judgeCrossing(facts)
      if (!verdict.proven) return
      expect(missed).toBe(0)
      expect(verdict.takeFromTail).toBe(model.unread)
      expect(facts.tailCommits).toBeGreaterThanOrEqual(model.unread)
    }),
    { numRuns: 5000 },
  )
})

test('one restart whose tail is whole is always crossed', () => {
  fc.assert(
    fc.property(past, (model) => {
      const { facts } = factsOf({ ...model, unseen: [], left: 'all' })
      expect(judgeCrossing(facts)).toEqual({ proven: true, takeFromTail: model.unread })
    }),
    { numRuns: 2000 },
  )
})

test('nothing is proven without the lock, nor by marks that may be padding', () => {
  fc.assert(
    fc.property(past, fc.constantFrom('unknown' as const, 'yes' as const), (model, pads) => {
      const { facts } = factsOf(model)
      expect(judgeCrossing({ ...facts, attached: false }).proven).toBe(false)
      expect(judgeCrossing({ ...facts, repeatedCommits: true, pads }).proven).toBe(false)
    }),
  )
})
