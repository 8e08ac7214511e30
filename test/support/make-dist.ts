// Our own program, compiled, for tests that run the real command.

import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { say, withLock } from './cache.js'
import { run } from './process.js'

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** For `--require` of test applications; see the file itself. */
export const keepSqlite = join(projectRoot, 'test', 'support', 'keep-sqlite.cjs')

/** Compile when a source is newer than the output. A type error fails the run in CI and is only reported elsewhere. */
export async function makeDist(): Promise<string> {
  const main = join(projectRoot, 'dist', 'cli', 'main.js')
  await withLock(join(projectRoot, 'node_modules', '.litestream-dist.lock'), async () => {
    const outputs = join(projectRoot, 'dist')
    const configs = ['tsconfig.json', 'tsconfig.build.json', 'package.json'].map((name) => join(projectRoot, name))
    const sources = ['src', 'build'].map((name) => newestMs(join(projectRoot, name)))
    const newest = Math.max(...sources, ...configs.map((path) => statSync(path).mtimeMs))
    if (existsSync(main) && oldestMs(outputs) > newest) return
    const tsc = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc')
    const result = await run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
      cwd: projectRoot,
      timeoutMs: 300_000,
    })
    const bundled = await run(process.execPath, [join('build', 'bundle.mjs')], { cwd: projectRoot, timeoutMs: 300_000 })
    if (bundled.code !== 0) throw new Error(`the bundle could not be made:\n${bundled.stderr}`)
    if (result.code === 0) return
    if (process.env.CI) throw new Error(`tsc found errors:\n${result.stdout}`)
    say(
      `tsc found ${result.stdout.split('\n').filter((line) => line.includes('error TS')).length} errors; run npm run types`,
    )
  })
  return main
}

function* filesOf(directory: string): Generator<string> {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield join(entry.parentPath, entry.name)
  }
}

function newestMs(directory: string): number {
  return Math.max(0, ...[...filesOf(directory)].map((path) => statSync(path).mtimeMs))
}

function oldestMs(directory: string): number {
  return Math.min(...[...filesOf(directory)].map((path) => statSync(path).mtimeMs))
}
