// How to run an application with kill-in-fsync.c.

import type { TestContext } from 'vitest'
import { preload } from '../preload.js'

/** The environment that kills an application inside the `at`-th sync of its WAL. Skips the test without a C compiler, fails in CI. */
export function killInFsync(context: TestContext, directory: string, at: number): Record<string, string> {
  return { ...preload(context, directory, 'test/support/observer/kill-in-fsync.c'), KILL_AT: String(at) }
}
