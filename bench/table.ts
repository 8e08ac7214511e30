// A result as a Markdown table: medians, ratios to those who were there, aims, and whether they hold.

import type { Bench, Row } from './bench.js'
import { CONTENDERS, type Contender, LABELS } from './contenders.js'
import { type Result, valuesOf } from './result.js'
import { flagName } from './settings.js'
import { format, type Unit } from './units.js'
import { aggregate, judge, lookupIn, ratio } from './verdict.js'

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

const presentIn = ({ runs }: Result): Contender[] =>
  CONTENDERS.filter((name) => runs.some(({ contender }) => contender === name))

/** The range of what may only be told as a whole, else the one number. */
function cell(values: readonly number[], { unit, over }: Row): string {
  if (values.length === 0) return ''
  const value = aggregate(values, over)
  const least = Math.min(...values)
  if (over !== 'worst' || least === value) return format(unit, value)
  return `${format(unit, least).replace(/ [^ ]*$/, '')} to ${format(unit, value)}`
}

const RATIOS: ReadonlySet<Unit> = new Set(['count', 'ms', 's', 'bytes', 'percent'])

function contendersTable(bench: Bench, result: Result): string {
  const present = presentIn(result)
  const others = present.includes('ours') ? present.filter((name) => !name.startsWith('ours')) : []
  const lookup = lookupIn(result, bench.rows)
  const hasAims = bench.rows.some(({ aim }) => aim !== undefined)
  const ratioTo = (row: Row, to: Contender): string => {
    if (!RATIOS.has(row.unit) || (row.over ?? 'median') !== 'median') return ''
    const value = ratio(result.runs, row.figure, 'ours', to)
    return Number.isFinite(value) ? value.toFixed(2) : ''
  }
  const verdict = (row: Row): string[] => {
    if (!row.aim) return ['', '']
    const { bound, holds } = judge(row.aim, lookup('ours', row.figure), lookup, result.settings)
    const exact = Number.isNaN(bound) || format(row.unit, bound) === row.aim.text ? '' : ` (${format(row.unit, bound)})`
    return [
      `${row.aim.is} ${row.aim.text}${exact}`,
      holds === undefined ? 'cannot be told' : holds ? 'holds' : '**does not hold**',
    ]
  }
  const rows = bench.rows.flatMap((row) => {
    const cells = present.map((contender) => cell(valuesOf(result.runs, row.figure, { contender }), row))
    if (cells.every((text) => text === '')) return []
    return [[row.label, ...cells, ...others.map((to) => ratioTo(row, to)), ...(hasAims ? verdict(row) : [])]]
  })
  const ratios = others.map((name) => `ours / ${name.replace('litestream-', '')}`)
  return table(['', ...present.map((name) => LABELS[name]), ...ratios, ...(hasAims ? ['aim', ''] : [])], rows)
}

const sizeOf = (of: string): number => Number(/[\d.]+/.exec(of)?.[0])

/** For each kind of case, of its last step: 1 is in proportion, 0 is not at all. */
function exponents(
  cases: readonly string[],
  value: (of: string, row: Row) => number,
  rows: readonly Row[],
): string[][] {
  const kinds = new Map<string, string[]>()
  for (const of of cases) {
    const kind = of.replace(/[\d.]+ /, '')
    kinds.set(kind, [...(kinds.get(kind) ?? []), of])
  }
  return [...kinds].flatMap(([kind, own]) => {
    const [before, last] = own.slice(-2)
    if (before === undefined || last === undefined) return []
    const work = Math.log(sizeOf(last) / sizeOf(before))
    if (!Number.isFinite(work)) return [] // from nothing to something is no proportion
    const grows = rows.map((row) => {
      const exponent = Math.log(value(last, row) / value(before, row)) / work
      return Number.isFinite(exponent) ? exponent.toFixed(2) : ''
    })
    return [[`exponent of the last step${kinds.size > 1 ? `, ${kind}` : ''}`, ...grows]]
  })
}

function casesTables(bench: Bench, result: Result): string {
  const cases = [...new Set(result.runs.map(({ of = '' }) => of))]
  return presentIn(result)
    .map((contender) => {
      const runs = result.runs.filter((run) => run.contender === contender)
      const rows = bench.rows.filter(({ figure }) => valuesOf(runs, figure).length > 0)
      const values = (of: string, { figure, over }: Row) => aggregate(valuesOf(runs, figure, { of }), over)
      const lines = cases.map((of) => [of, ...rows.map((row) => cell(valuesOf(runs, row.figure, { of }), row))])
      lines.push(...exponents(cases, values, rows))
      return `${LABELS[contender]}:\n\n${table(['', ...rows.map(({ label }) => label)], lines)}`
    })
    .join('\n\n')
}

/** The heading, the circumstances and the table of one result. */
export function formatResult(bench: Bench, result: Result): string {
  const { cores, processor, memoryBytes, kernel, node, sqlite, minio, store } = result.machine
  const set = Object.entries(result.settings)
    .filter(([name]) => name !== 'contenders')
    .map(([name, value]) => `${flagName(name).slice(2)} ${Array.isArray(value) ? value.join(',') : value}`)
    .join(', ')
  const about =
    `${cores} cores (${processor}), ${Math.round(memoryBytes / 2 ** 30)} GiB of memory, ${kernel}, Node ${node}, SQLite ${sqlite}; ` +
    `MinIO on the same machine (${minio}, its data ${store === 'memory' ? 'in memory' : 'on the same disk'}). ${set}; ${result.startedAt.slice(0, 10)}, ${result.elapsedSeconds} s in all.`
  const tables = bench.layout === 'contenders' ? contendersTable(bench, result) : casesTables(bench, result)
  return `### ${bench.title}\n\n${tables}\n\n${about}\n`
}

/** The text of a document with `section` between the marks of this benchmark; undefined where it has no such marks. */
export function withSection(document: string, bench: string, section: string): string | undefined {
  const [open, close] = [`<!-- bench ${bench} -->\n`, `<!-- /bench ${bench} -->`]
  const [from, to] = [document.indexOf(open), document.indexOf(close)]
  if (from < 0 || to < from) return undefined
  return `${document.slice(0, from + open.length)}\n${section}\n${document.slice(to)}`
}
