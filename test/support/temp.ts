// Temporary directories of tests: removed when the test passed, kept and named when it failed.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'

function create(label: string): string {
  return mkdtempSync(join(tmpdir(), `litestream-test-${label}-`))
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

/** A new empty directory for the running test. Call it inside a test. Hooks registered later run before it is removed. */
export function tempDirectory(label = 'case'): string {
  const directory = create(label)
  onTestFinished(({ task }) => {
    if (task.result?.state === 'fail') console.error(`kept ${directory} of the failed test "${task.name}"`)
    else remove(directory)
  })
  return directory
}

/** A new empty directory for the rest of the suite. Call it while the suite is being described, outside of tests and hooks. */
export function suiteDirectory(label = 'suite'): string {
  const directory = create(label)
  // biome-ignore lint/correctness/noEmptyPattern: vitest parses this function and wants a destructured first argument
  afterAll(({}, suite) => {
    const failed = suite.tasks.some((task) => task.result?.state === 'fail')
    if (failed) console.error(`kept ${directory} of the failed suite "${suite.name}"`)
    else remove(directory)
  })
  return directory
}
