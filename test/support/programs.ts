// Paths of the programs that tests run, and the rule for tests that need containers.

import type { TestContext } from 'vitest'
import { type CommandOptions, type Finished, type Running, run, start } from './process.js'
import { resource } from './resources.js'

/** Path of our compiled command, `dist/cli/main.js`; compiles it when it is out of date. */
export function distMain(): Promise<string> {
  return resource('dist')
}

/** Run our compiled command to its end, with the Node that runs the tests. */
export async function runOurs(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return run(process.execPath, [await distMain(), ...args], { timeoutMs: 300_000, ...options })
}

/** Start our compiled command and leave it running. */
export async function startOurs(args: readonly string[], options: CommandOptions = {}): Promise<Running> {
  return start(process.execPath, [await distMain(), ...args], options)
}

/** Path of the real lz4 tool. */
export function lz4Binary(): Promise<string> {
  return resource('lz4')
}

/**
 * Skip the test when no Docker engine answers, naming the reason. In CI nothing may be skipped: there it fails.
 * `test('…', async (context) => { await needDocker(context); … })`
 */
export async function needDocker(context: TestContext): Promise<void> {
  const problem = await resource('docker')
  if (problem === '') return
  if (process.env.CI) throw new Error(`this test needs containers: ${problem}`)
  context.skip(`needs containers: ${problem}`)
}
