// The command line of the benchmarks. Tables go to stdout, progress to stderr.

import { readFileSync, writeFileSync } from 'node:fs'
import { chart } from './chart.js'
import { parseCommandLine, usage } from './command-line.js'
import { costTable } from './cost.js'
import type { Result } from './result.js'
import { runBench } from './run-bench.js'
import { UsageError } from './settings.js'
import { formatResult, withSection } from './table.js'

function writeSection(path: string, bench: string, section: string): void {
  const text = withSection(readFileSync(path, 'utf8'), bench, section)
  if (text === undefined)
    throw new UsageError(`${path} has no marks <!-- bench ${bench} --> and <!-- /bench ${bench} -->`)
  writeFileSync(path, text)
}

async function main(): Promise<void> {
  const line = parseCommandLine(process.argv.slice(2))
  if (line?.cost) {
    const section = costTable(line.cost)
    process.stdout.write(`${section}\n`)
    if (line.write !== undefined) writeSection(line.write, 'cost', section)
    return
  }
  if (!line) {
    process.stderr.write(usage())
    process.exitCode = 1
    return
  }
  if (line.chart) {
    const results = line.chart.from.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as Result | Result[])
    writeFileSync(line.chart.svg, chart(results))
    return
  }
  const { runs, json, write } = line
  if (write !== undefined) {
    const document = readFileSync(write, 'utf8')
    for (const { bench } of runs) {
      if (withSection(document, bench.name, '') === undefined) writeSection(write, bench.name, '')
    }
  }
  const results: Result[] = []
  for (const { bench, own } of runs) {
    const result = await runBench(bench, own, (text) => process.stderr.write(`${text}\n`))
    results.push(result)
    const section = formatResult(bench, result)
    process.stdout.write(`${results.length > 1 ? '\n' : ''}${section}`)
    // After each, so that what was measured is kept when a later one fails.
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(results.length > 1 ? results : result, null, 1)}\n`)
    if (write !== undefined) writeSection(write, bench.name, section)
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof UsageError ? error.message : (error as Error).stack}\n`)
  process.exitCode = 1
}
