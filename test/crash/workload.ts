// What the application of the crash tests writes: transaction n follows from the seed and n alone, so that whoever knows the seed
// knows every committed state. Shared by the application (which executes it with SQL) and the model (which computes it).
//
//   counter   one row: n
//   history   the last 50 transactions, each with a hash that continues the one before it
//   items     rows in numbered slots, inserted, replaced, updated in ranges and deleted; an index on them comes and goes
//   pairs     the same WITHOUT ROWID
//   ballast   written once, so that a snapshot takes a while

import { createHash } from 'node:crypto'
import { mixSeeds, Random } from './random.js'

export interface Workload {
  readonly seed: number
  readonly pageSize: number
  readonly autoVacuum: 0 | 1 | 2
  readonly ballastBytes: number
}

export type Operation =
  | { readonly kind: 'put'; readonly id: number; readonly tag: number; readonly body: Buffer }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'bump'; readonly from: number; readonly until: number }
  | { readonly kind: 'pair'; readonly name: string; readonly value: string }
  | { readonly kind: 'unpair'; readonly name: string }

export const HISTORY_LENGTH = 50
const SLOTS = 400
const NAMES = 200
const BALLAST_ROW_BYTES = 65536

export function operationsOf({ seed }: Workload, n: number): Operation[] {
  const random = new Random(mixSeeds(seed, n))
  const count = random.chance(0.03) ? 60 + random.below(120) : 1 + random.below(8)
  return Array.from({ length: count }, () => operation(random))
}

function operation(random: Random): Operation {
  const id = random.below(SLOTS)
  const kind = random.below(10)
  if (kind < 4) {
    const length = random.chance(0.02) ? random.below(30_000) : random.below(600)
    return { kind: 'put', id, tag: random.below(20), body: random.bytes(length) }
  }
  if (kind < 6) return { kind: 'remove', id }
  if (kind < 7) return { kind: 'bump', from: id, until: id + random.below(12) }
  const name = `name-${random.below(NAMES)}-${'x'.repeat(random.below(3) * 40)}`
  return kind < 9
    ? { kind: 'pair', name, value: random.bytes(random.below(40)).toString('hex') }
    : { kind: 'unpair', name }
}

/** The index is made by one transaction and dropped by a later one. */
export function indexChange(n: number): 'create' | 'drop' | undefined {
  if (n % 40 === 7) return 'create'
  return n % 40 === 27 ? 'drop' : undefined
}

export function hasIndex(n: number): boolean {
  return n % 40 >= 7 && n % 40 < 27
}

export function nextChain(chain: string, n: number, operations: readonly Operation[]): string {
  const hash = createHash('sha256').update(`${chain}/${n}`)
  for (const operation of operations) hash.update(JSON.stringify(operation))
  return hash.digest('hex').slice(0, 32)
}

export function* ballastOf({ seed, ballastBytes }: Workload): Generator<{ id: number; body: Buffer }> {
  const block = new Random(mixSeeds(seed, -1)).bytes(BALLAST_ROW_BYTES)
  for (let id = 0; id * BALLAST_ROW_BYTES < ballastBytes; id++) {
    block.writeUInt32LE(id, 0)
    yield { id, body: block }
  }
}

export const shortHash = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex').slice(0, 16)
