// Things that the tests fetch or build once per machine, kept outside of the checkout. Several test runs may want the same one
// at the same moment: one makes it in a directory of its own and renames it into place, the others wait.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.js'

/** `$XDG_CACHE_HOME/litestream-node-test`, else `~/.cache/litestream-node-test`. */
export function cacheDirectory(): string {
  const directory = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'litestream-node-test')
  mkdirSync(directory, { recursive: true })
  return directory
}

export function say(text: string): void {
  process.stderr.write(`test set-up: ${text}\n`)
}

/** The directory `name` of the cache; `make` fills a new one when it is not there yet. */
export async function cached(name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const final = join(cacheDirectory(), name)
  if (existsSync(final)) return final
  return withLock(`${final}.lock`, async () => {
    if (existsSync(final)) return final
    const part = `${final}.part-${process.pid}`
    rmSync(part, { recursive: true, force: true })
    mkdirSync(part, { recursive: true })
    try {
      await make(part)
      renameSync(part, final)
    } finally {
      rmSync(part, { recursive: true, force: true })
    }
    return final
  })
}

/** Run `work` while no other process of this machine does so under the same lock directory. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  await until(() => tryLock(path), { timeoutMs: 20 * 60_000, intervalMs: 100, what: `the lock ${path}` })
  try {
    return await work()
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

function tryLock(path: string): boolean {
  try {
    mkdirSync(path)
    writeFileSync(join(path, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (isAbandoned(path)) rmSync(path, { recursive: true, force: true })
    return false
  }
}

/** The holder is dead, or it died before it could write its process id. */
function isAbandoned(path: string): boolean {
  try {
    const text = readFileSync(join(path, 'pid'), 'utf8')
    if (text !== '') return !existsSync(`/proc/${text}`)
    return Date.now() - statSync(path).mtimeMs > 10_000
  } catch {
    try {
      return Date.now() - statSync(path).mtimeMs > 10_000
    } catch {
      return false
    }
  }
}
