// Weathers of the chaos test: what the store does to each request while they last.

import type { Random } from '../crash/random.js'
import { FAULTS, type Weather } from '../support/fault-proxy.js'

export const CALM: Weather = {}

/** A few faults of every kind. */
const SHOWERS: Weather = Object.fromEntries(FAULTS.map((fault) => [fault, 0.015]))
/** Every second request goes wrong somehow. */
const STORM: Weather = Object.fromEntries(FAULTS.map((fault) => [fault, 0.5 / FAULTS.length]))
/** Acknowledgements get lost, and requests arrive late: the store has what nobody knows of. */
const LOST_ANSWERS: Weather = { 'reset-after': 0.2, 'hang-after': 0.05, late: 0.15 }
/** Total ones. */
const OUTAGES: readonly Weather[] = [
  { 'reset-before': 1 },
  { 'hang-before': 1 },
  { 'status-503': 1 },
  { 'status-500': 1 },
  { 'status-403': 1 },
  { 'status-429': 1 },
  { 'reset-after': 1 },
  { 'hang-after': 1 },
  { truncate: 1 },
]

export function weatherBy(random: Random): Weather {
  const kind = random.next()
  if (kind < 0.4) return CALM
  if (kind < 0.65) return SHOWERS
  if (kind < 0.78) return STORM
  return kind < 0.9 ? LOST_ANSWERS : outageBy(random)
}

export function outageBy(random: Random): Weather {
  return random.pick(OUTAGES)
}
