// `npm start` behind its build: the demonstration does what it says, leaves nothing behind, and says so when it cannot.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { run, start } from '../support/process.js'
import { distMain } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'

const program = async (): Promise<string> => join(dirname(await distMain()), 'demo.js')

/** Without what the machine's or the tests' environment says about configuration and credentials. */
const optionsIn = (directory: string) => ({ env: { TMPDIR: directory, LITESTREAM_CONFIG: undefined } })

function commandLines(): string[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.map((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8')
    } catch {
      return '' // ended meanwhile
    }
  })
}

test('replicates, restores three times, compares, and cleans up', { timeout: 180_000 }, async () => {
  const directory = tempDirectory()
  const options = { ...optionsIn(directory), timeoutMs: 150_000 }
  const { code, stdout, stderr } = await run(process.execPath, [await program()], options)
  expect([code, stderr]).toEqual([0, ''])
  for (const step of [1, 2, 3, 4, 5, 6]) expect(stdout).toMatch(new RegExp(`^${step}\\. `, 'm'))
  expect(stdout).toContain('Everything held.')
  expect(stdout).toContain('dist/cli/main.js replicate /path/to/app.db')
  expect(stdout).toContain('dist/cli/main.js restore -o /path/to/copy.db')
  const [, last] = /the application committed transfer (\d+) last/.exec(stdout) ?? []
  expect(stdout).toContain(`the copy holds all ${last} transfers`)
  expect(readdirSync(directory)).toEqual([])
})

test('stopped in the middle it fails, keeps its files, and leaves no process behind', async () => {
  const directory = tempDirectory()
  const running = start(process.execPath, [await program()], optionsIn(directory))
  await running.waitForLine(/the first snapshot is stored/)
  const { code, stderr } = await running.stop('SIGINT')
  expect(code).toBe(1)
  const [kept = ''] = readdirSync(directory)
  expect(stderr).toContain('The demonstration failed: stopped by SIGINT')
  expect(stderr).toContain(`Its files are kept in ${join(directory, kept)}`)
  await until(() => !commandLines().some((words) => words.includes(kept)), { what: 'the children to end' })
})

test('no place to work in: one line, status 1', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [await program()], optionsIn('/nowhere/at/all'))
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^The demonstration needs a temporary directory: .*\/nowhere\/at\/all.*\n$/)
})
