// Compiles kill-in-fsync.c and says how to run an application with it.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import { projectRoot } from '../make-dist.js'

/** The environment that kills an application inside the `at`-th sync of its WAL. Skips the test without a C compiler, fails in CI. */
export function killInFsync(context: TestContext, directory: string, at: number): Record<string, string> {
  const library = join(directory, 'kill-in-fsync.so')
  if (!existsSync(library)) {
    const source = join(projectRoot, 'test', 'support', 'observer', 'kill-in-fsync.c')
    const result = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source], { encoding: 'utf8' })
    if (result.status !== 0) {
      const problem = `needs a C compiler: ${result.error?.message ?? result.stderr}`
      if (process.env.CI) throw new Error(problem)
      context.skip(problem)
    }
  }
  return { LD_PRELOAD: library, KILL_AT: String(at) }
}
