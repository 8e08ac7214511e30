// Compiles a small C file that is preloaded into a program, to make a system call of it do something else.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TestContext } from 'vitest'
import { projectRoot } from './make-dist.js'

/** The environment that does it; `source` is a path in the project. Skips the test without a C compiler, fails in CI. */
export function preload(context: TestContext, directory: string, source: string): Record<string, string> {
  const library = join(directory, basename(source).replace(/\.c$/, '.so'))
  if (!existsSync(library)) {
    const args = ['-shared', '-fPIC', '-O1', '-o', library, join(projectRoot, source)]
    const result = spawnSync('cc', args, { encoding: 'utf8' })
    if (result.status !== 0) {
      const problem = `needs a C compiler: ${result.error?.message ?? result.stderr}`
      if (process.env.CI) throw new Error(problem)
      context.skip(problem)
    }
  }
  return { LD_PRELOAD: library }
}
