// The shape of one benchmark: its flags, how long it takes, what it does, and the table that it gives.

import type { Contender } from './contenders.js'
import type { Measured } from './result.js'
import type { Flags, SettingsOf } from './settings.js'
import type { Stage } from './stage.js'
import type { Unit } from './units.js'

/** What the table shows of a figure (see Row.over); NaN where nobody measured it. */
export type Lookup = (contender: Contender, figure: string) => number

export interface Aim {
  readonly text: string
  readonly is: 'at most' | 'at least'
  /** In the row's unit. NaN: cannot be told here, because who it is compared with was not there. */
  readonly bound: (value: Lookup, settings: Readonly<Record<string, unknown>>) => number
}

export type Over = 'median' | 'worst' | 'sum'

export interface Row {
  readonly figure: string
  readonly label: string
  readonly unit: Unit
  /** How the runs become one number: the median without; `worst`, the largest, is shown as a range. */
  readonly over?: Over
  readonly aim?: Aim
}

/** `contenders`: a column for each contender. `cases`: a line for each case (`Run.of`), a column for each figure. */
export type Layout = 'contenders' | 'cases'

export interface Bench<F extends Flags = Flags> {
  readonly name: string
  readonly title: string
  readonly layout: Layout
  readonly rows: readonly Row[]
  readonly flags: F
  /** Rough, of the whole run on two cores; said before it begins. */
  estimateSeconds(settings: SettingsOf<F>): number
  run(stage: Stage, settings: SettingsOf<F>): Promise<Measured>
}

/** Keeps the kinds of the flags for `run`, and forgets them for whoever holds a list of benchmarks. */
export function defineBench<F extends Flags>(bench: Bench<F>): Bench {
  return bench as unknown as Bench
}

export const atMost = (text: string, bound: Aim['bound']): Aim => ({ text, is: 'at most', bound })
export const atLeast = (text: string, bound: Aim['bound']): Aim => ({ text, is: 'at least', bound })
