// Paths as the original expands them: `~` and `~/…` are the home directory of the user that runs the program (from the user
// database; HOME only where that has no entry), all others are absolute or relative to the working directory.

import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from './expand.js'

export interface Surroundings {
  readonly env: Environment
  /** Absolute. */
  readonly cwd: string
}

const DEFAULT_CONFIG_PATH = '/etc/litestream.yml'

export function expandPath(path: string, { cwd, env }: Surroundings): string {
  if (path !== '~' && !path.startsWith('~/')) return resolve(cwd, path)
  return join(homeDirectory(env), path.slice(1)).replace(/(?<=.)\/$/, '')
}

/** The configuration to read when `-config` is not given. */
export function defaultConfigPath(env: Environment): string {
  return env.LITESTREAM_CONFIG || DEFAULT_CONFIG_PATH
}

/** The original's test for "this is a URL". */
export function isUrl(text: string): boolean {
  return /^\w+:\/\//.test(text)
}

function homeDirectory(env: Environment): string {
  try {
    return userInfo().homedir
  } catch {
    return env.HOME || '/'
  }
}
