// summary.mjs FAILED_STEP... -- REPORT...
// Counts vitest's JSON reports and closes with the line `N passed, N failed`. A step that failed counts as one failure (it may be
// lint, a test file that does not load, an unhandled error); so do a report that is missing and each test that was skipped.

import { existsSync, readFileSync } from 'node:fs'

const words = process.argv.slice(2)
const failedSteps = words.slice(0, words.indexOf('--'))
const reports = words.slice(words.indexOf('--') + 1)

let passed = 0
let failed = 0
const fail = (text) => {
  failed += 1
  console.log(`FAILED: ${text}`)
}

/** Enough to know what it was where only the end of the output is kept. */
const reasonOf = ({ failureMessages = [] }) =>
  failureMessages
    .flatMap((message) => message.split('\n').slice(0, 4))
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n')

for (const path of reports) {
  if (!existsSync(path)) {
    fail(`no test report at ${path}: the tests did not run to their end`)
    continue
  }
  const report = JSON.parse(readFileSync(path, 'utf8'))
  if (report.numTotalTests === 0) fail(`no tests ran for ${path}`)
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      const name = `${file.name}: ${test.fullName}`
      if (test.status === 'passed') passed += 1
      else if (test.status === 'failed') fail(`${name}\n${reasonOf(test)}`)
      else fail(`${test.status}, and nothing may be skipped here: ${name}`)
    }
  }
}
for (const step of failedSteps) fail(`the step "${step}"`)

console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
