// What every benchmark gives: runs, each of one contender, with figures by name. Tables, charts and checks are made from it alone,
// so that a result that was written to a file is as good as one that was just measured.

import type { Contender } from './contenders.js'
import type { Machine } from './machine.js'

/** By name, with the unit last: `longestMs`, `sentBytes`. Absent where the contender has no such figure. */
export type Figures = Readonly<Record<string, number>>

export interface Run {
  readonly contender: Contender
  /** Runs of one repetition are a pair: they were made right after each other, on the same data. */
  readonly repetition: number
  /** What was different, in a benchmark that goes through a list: a size, a number of databases, a pattern. */
  readonly of?: string | undefined
  readonly figures: Figures
}

/** Points in time of one contender. */
export interface Series {
  readonly name: string
  readonly figures: readonly string[]
  /** Seconds since the beginning, then a value for each figure. */
  readonly points: readonly (readonly number[])[]
}

export interface Measured {
  readonly runs: readonly Run[]
  readonly series?: readonly Series[] | undefined
}

export interface Result extends Measured {
  readonly version: 2
  readonly bench: string
  readonly startedAt: string
  readonly elapsedSeconds: number
  readonly machine: Machine
  readonly settings: Readonly<Record<string, number | readonly number[] | readonly string[]>>
}

/** The figure of all runs that have it. */
export function valuesOf(
  runs: readonly Run[],
  figure: string,
  which: { readonly contender?: Contender; readonly of?: string | undefined } = {},
): number[] {
  return runs.flatMap(({ contender, of, figures }) => {
    if (which.contender !== undefined && which.contender !== contender) return []
    if (which.of !== undefined && which.of !== of) return []
    const value = figures[figure]
    return value === undefined ? [] : [value]
  })
}
