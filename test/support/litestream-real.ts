// The real Litestream 0.3.13, the oracle of the interop suites.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CommandOptions, type Finished, type Running, run, start } from './process.js'
import { resource } from './resources.js'

/** Path of the real 0.3.13. */
export function realBinary(): Promise<string> {
  return resource('litestream')
}

/** Run it to its end: `await runReal(['restore', '-o', out, 'file:///replica'])`. */
export async function runReal(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return run(await realBinary(), args, { timeoutMs: 300_000, ...options })
}

/**
 * Start `replicate` with a configuration (YAML text), written into `directory`. Resolves once it has logged that it watches its
 * databases; stop it with `.stop()`, which ends it by SIGTERM as in production (it then syncs a last time).
 */
export async function startRealReplicate(
  directory: string,
  yaml: string,
  options: CommandOptions = {},
): Promise<Running> {
  const config = join(directory, 'litestream-real.yml')
  writeFileSync(config, yaml)
  const running = start(await realBinary(), ['replicate', '-config', config], options)
  await running.waitForLine(/initialized db|replicating to/)
  return running
}
