// Words of the command line to benchmarks and their flags. Complains before anything is started.

import type { Bench } from './bench.js'
import { BENCHES, benchesOf, GROUPS } from './benches.js'
import { COST_FLAGS } from './cost.js'
import { type Flags, flagName, parseSettings, UsageError } from './settings.js'

export function usage(): string {
  const lines = ['usage: npm run bench -- NAME [flags]', '']
  const cost = {
    name: 'cost',
    title: 'cost: what replication costs a month, by the model of docs/cost.md',
    flags: COST_FLAGS as Flags,
  }
  for (const { name, title, flags } of [...BENCHES, cost]) {
    lines.push(title.startsWith(`${name}:`) ? title : `${name}: ${title}`)
    for (const [flag, { default: value, about }] of Object.entries(flags)) {
      lines.push(`  ${flagName(flag)} ${Array.isArray(value) ? value.join(',') : value}`.padEnd(34).concat(` ${about}`))
    }
  }
  for (const [group, members] of Object.entries(GROUPS)) lines.push(`${group}: ${members.join(', ')}`)
  lines.push(
    'chart --from FILE,FILE... --svg FILE: a chart of the main figures, from files of --json',
    'every name:',
    '  --json FILE                      write every single measurement there',
    '  --write FILE                     put the table into this Markdown file, between <!-- bench NAME --> and <!-- /bench NAME -->',
  )
  return `${lines.join('\n')}\n`
}

interface Words {
  readonly name: string | undefined
  readonly given: Readonly<Record<string, string>>
}

function readWords(words: readonly string[]): Words {
  const given: Record<string, string> = {}
  let name: string | undefined
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    const flag = /^--([a-z][a-z-]*)(?:=(.*))?$/s.exec(word)
    if (!flag) {
      if (name !== undefined || word.startsWith('-')) throw new UsageError(`unexpected: ${word}`)
      name = word
      continue
    }
    const value = flag[2] ?? words[++at]
    if (value === undefined) throw new UsageError(`${word}: a value is missing`)
    given[flag[1]!.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())] = value
  }
  return { name, given }
}

/** Of a group, each benchmark takes the flags that it knows; one that nobody knows is an error. */
function givenTo(benches: readonly Bench[], given: Readonly<Record<string, string>>) {
  for (const name of Object.keys(given)) {
    if (benches.every(({ flags }) => !(name in flags))) throw new UsageError(`unknown flag: ${flagName(name)}`)
  }
  return benches.map((bench) => {
    const own = Object.fromEntries(Object.entries(given).filter(([name]) => name in bench.flags))
    parseSettings(bench.flags, own) // complains before anything is measured
    return { bench, own }
  })
}

export interface CommandLine {
  /** Each with the texts of its flags. */
  readonly runs: readonly { readonly bench: Bench; readonly own: Readonly<Record<string, string>> }[]
  /** The texts of the flags of `cost`, which measures nothing. */
  readonly cost?: Readonly<Record<string, string>>
  readonly chart?: { readonly from: readonly string[]; readonly svg: string }
  readonly json: string | undefined
  readonly write: string | undefined
}

/** Undefined when no benchmark is named. */
export function parseCommandLine(words: readonly string[]): CommandLine | undefined {
  const { name, given } = readWords(words)
  if (name === 'cost') {
    const { write, ...cost } = given
    for (const flag of Object.keys(cost))
      if (!(flag in COST_FLAGS)) throw new UsageError(`unknown flag: ${flagName(flag)}`)
    return { runs: [], cost, json: undefined, write }
  }
  if (name === 'chart') {
    const { from, svg, ...others } = given
    if (from === undefined || svg === undefined || Object.keys(others).length > 0) {
      throw new UsageError('chart takes --from FILE,FILE... and --svg FILE')
    }
    return { runs: [], chart: { from: from.split(','), svg }, json: undefined, write: undefined }
  }
  const benches = name === undefined ? undefined : benchesOf(name)
  if (!benches) return undefined
  const { json, write, ...flags } = given
  return { runs: givenTo(benches, flags), json, write }
}
