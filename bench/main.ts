// The command line of the benchmarks. Tables go to stdout, progress to stderr.

import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { stopSharedMinio } from '../test/support/minio-server.js'
import { CHECKPOINT_PATTERNS } from './checkpoints.js'
import { type CompareOptions, compare, PARTS, type Part } from './compare.js'
import { formatComparison } from './report.js'

const USAGE = `usage: npm run bench -- compare [flags]
  --only PARTS              of ${PARTS.join(',')} (all)
  --repetitions N           of each load (3)
  --seconds S               of each load (8)
  --kills N                 of each load, at random moments between 1/4 and 5/8 of its length (4)
  --checkpoint-repetitions N  (1)
  --checkpoint-seconds S    of each pattern (3)
  --patterns NAMES          of ${CHECKPOINT_PATTERNS.map(({ name }) => name).join(',')} (all)
  --database-mb N           size of the database at the beginning (50)
  --seed N                  (1)
  --json FILE               write every single measurement there
  --write FILE              put the tables into this Markdown file, between its marks <!-- compare --> and <!-- /compare -->
`

const FLAGS = {
  only: { type: 'string', default: PARTS.join(',') },
  repetitions: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '8' },
  kills: { type: 'string', default: '4' },
  'checkpoint-repetitions': { type: 'string', default: '1' },
  'checkpoint-seconds': { type: 'string', default: '3' },
  patterns: { type: 'string', default: CHECKPOINT_PATTERNS.map(({ name }) => name).join(',') },
  'database-mb': { type: 'string', default: '50' },
  seed: { type: 'string', default: '1' },
  json: { type: 'string' },
  write: { type: 'string' },
} as const

class UsageError extends Error {}

function number(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new UsageError(`--${name} ${text}: expected a number above 0`)
}

function listOf<Name extends string>(flag: string, text: string, known: readonly Name[]): Name[] {
  return text.split(',').map((name) => {
    if ((known as readonly string[]).includes(name)) return name as Name
    throw new UsageError(`--${flag} ${name}: expected one of ${known.join(', ')}`)
  })
}

/** The file's text with `tables` between the marks. */
function withTables(text: string, tables: string): string {
  const marked = /(<!-- compare -->\n)[\s\S]*?(<!-- \/compare -->)/
  if (!marked.test(text))
    throw new UsageError('the file of --write has no marks <!-- compare --> and <!-- /compare -->')
  return text.replace(marked, (_, open: string, close: string) => `${open}\n${tables}\n${close}`)
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: FLAGS, allowPositionals: true })
  if (positionals.length !== 1 || positionals[0] !== 'compare') {
    process.stderr.write(USAGE)
    process.exitCode = 1
    return
  }
  const options: CompareOptions = {
    parts: listOf<Part>('only', values.only, PARTS),
    repetitions: number('repetitions', values.repetitions),
    loadMs: number('seconds', values.seconds) * 1000,
    kills: number('kills', values.kills),
    checkpointRepetitions: number('checkpoint-repetitions', values['checkpoint-repetitions']),
    checkpointMs: number('checkpoint-seconds', values['checkpoint-seconds']) * 1000,
    patterns: listOf(
      'patterns',
      values.patterns,
      CHECKPOINT_PATTERNS.map(({ name }) => name),
    ),
    databaseBytes: number('database-mb', values['database-mb']) * 1e6,
    seed: number('seed', values.seed),
  }
  if (values.write !== undefined) withTables(readFileSync(values.write, 'utf8'), '') // complains before anything is measured
  const comparison = await compare(options, (text) => process.stderr.write(`${text}\n`))
  const tables = formatComparison(comparison)
  process.stdout.write(tables)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(comparison, null, 1)}\n`)
  if (values.write !== undefined) writeFileSync(values.write, withTables(readFileSync(values.write, 'utf8'), tables))
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopSharedMinio().finally(() => process.exit(130)))
}
try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof UsageError ? error.message : (error as Error).stack}\n`)
  process.exitCode = 1
}
