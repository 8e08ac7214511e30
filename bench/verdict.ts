// What the runs of a result come to: one number for a figure and a contender, ratios between pairs, and whether aims hold.

import type { Aim, Lookup, Over, Row } from './bench.js'
import type { Contender } from './contenders.js'
import { type Result, type Run, valuesOf } from './result.js'
import { median } from './statistics.js'

export function aggregate(values: readonly number[], over: Over = 'median'): number {
  if (values.length === 0) return Number.NaN
  if (over === 'worst') return Math.max(...values)
  return over === 'sum' ? values.reduce((sum, value) => sum + value, 0) : median(values)
}

export function lookupIn({ runs }: Pick<Result, 'runs'>, rows: readonly Row[]): Lookup {
  return (contender, figure) => {
    const over = rows.find((row) => row.figure === figure)?.over
    return aggregate(valuesOf(runs, figure, { contender }), over)
  }
}

/** The median of the ratios within each repetition: what disturbs the machine for a while disturbs both. NaN of none. */
export function ratio(runs: readonly Run[], figure: string, of: Contender, to: Contender): number {
  const ratios = runs.flatMap((run) => {
    if (run.contender !== of) return []
    const pair = runs.find((other) => {
      return (
        other.contender === to && other.repetition === run.repetition && other.of === run.of && figure in other.figures
      )
    })
    const [value, base] = [run.figures[figure], pair?.figures[figure]]
    return value === undefined || base === undefined || base === 0 ? [] : [value / base]
  })
  return median(ratios)
}

export interface Verdict {
  readonly bound: number
  /** Undefined when it cannot be told here. */
  readonly holds: boolean | undefined
}

export function judge(aim: Aim, value: number, lookup: Lookup, settings: Result['settings']): Verdict {
  const bound = aim.bound(lookup, settings)
  if (Number.isNaN(bound) || Number.isNaN(value)) return { bound, holds: undefined }
  return { bound, holds: aim.is === 'at most' ? value <= bound : value >= bound }
}
