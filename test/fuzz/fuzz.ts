// What the fuzz tests share: how long they go on, mutation of valid input, and the rule: errors of ours are fine, anything else is a bug.
//
//   FUZZ_FACTOR=50 npx vitest run test/fuzz     fifty times as many tries of everything
//   FUZZ_SEED=<n>                               the same choices again
//
// Cases that were found are kept in test/fixtures/fuzz and played again by each run.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { isLitestreamError } from '../../src/errors.js'
import { projectRoot } from '../support/make-dist.js'

const factor = Number(process.env.FUZZ_FACTOR ?? 1)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)

process.stderr.write(`fuzz: FUZZ_SEED=${seed}\n`)

export const FUZZ = {
  seed,
  /** Tries of one property. */
  runs: (usual: number): number => Math.max(1, Math.round(usual * factor)),
  /** For fc.assert. */
  of: (usual: number): { numRuns: number; seed: number } => ({ numRuns: FUZZ.runs(usual), seed }),
}

/** Found cases of one kind: file names and contents. */
export function corpus(kind: string): (readonly [name: string, bytes: Buffer])[] {
  const directory = join(projectRoot, 'test', 'fixtures', 'fuzz', kind)
  return readdirSync(directory)
    .sort()
    .map((name) => [name, readFileSync(join(directory, name))])
}

/** The value, or the error when it is one of ours. Whatever else is thrown fails the test. */
export async function harmless<T>(work: () => T | Promise<T>): Promise<{ value: T } | { error: Error }> {
  try {
    return { value: await work() }
  } catch (error) {
    expect(isLitestreamError(error), `not an error of ours: ${(error as Error).stack}`).toBe(true)
    return { error: error as Error }
  }
}

interface Change {
  readonly kind: 'byte' | 'bit' | 'word' | 'cut' | 'remove' | 'insert' | 'repeat'
  /** In [0, 1): where. */
  readonly at: number
  readonly value: number
}

/** Numbers at which lengths and counters tip over. */
const WORDS = [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('byte', 'bit', 'word', 'cut', 'remove', 'insert', 'repeat'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.oneof(fc.nat(255), fc.constantFrom(...WORDS)),
})

export const changes: fc.Arbitrary<Change[]> = fc.array(change, { minLength: 1, maxLength: 5 })

/** `bytes` with these changes, one after the other. */
export function mutated(bytes: Buffer, list: readonly Change[]): Buffer {
  let result = Buffer.from(bytes)
  for (const { kind, at, value } of list) {
    const place = Math.floor(at * result.length)
    const [head, tail] = [result.subarray(0, place), result.subarray(place)]
    if (kind === 'cut') result = Buffer.from(head)
    else if (kind === 'remove') result = Buffer.concat([head, tail.subarray(1 + (value % 64))])
    else if (kind === 'insert') result = Buffer.concat([head, Buffer.alloc(1 + (value % 64), value & 255), tail])
    else if (kind === 'repeat') result = Buffer.concat([head, tail.subarray(0, 1 + (value % 256)), tail])
    else if (place < result.length) {
      if (kind === 'byte') result[place] = value & 255
      else if (kind === 'bit') result[place] = (result[place] as number) ^ (1 << (value % 8))
      else if (place + 4 <= result.length) result.writeUInt32LE(value >>> 0, place)
    }
  }
  return result
}
