// What build/bundle.mjs makes of the command: whatever it imports is there, workers lie beside who starts them, and no command loads what
// only another one needs.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { projectRoot } from '../support/make-dist.js'
import { mustRun } from '../support/process.js'
import { distMain } from '../support/programs.js'

let main = ''
beforeAll(async () => {
  main = await distMain()
})

const bundleFolder = (): string => join(dirname(dirname(main)), 'bundle')
const sources = readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)

/** Without their hash: everything that is loaded with `file` at once. */
function loadedWith(file: string, seen = new Set<string>()): string[] {
  if (!seen.has(file)) {
    seen.add(file)
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(
      /(?:^|[;}\n])(?:import|export)[^;"']*["'](\.[^"']+)["']/g,
    )) {
      loadedWith(join(dirname(file), path), seen)
    }
  }
  return [...seen].map((path) => basename(path).replace(/-.{8}\.js$|\.js$/, '')).sort()
}
const chunk = (name: string): string =>
  join(bundleFolder(), readdirSync(bundleFolder()).find((file) => file.startsWith(`${name}-`)) ?? name)
/** Without their hash. */
const scriptsOf = (name: string): string[] =>
  [...readFileSync(chunk(name), 'utf8').matchAll(/[`'"]\.\/([^`'"]+)-.{8}\.cjs[`'"]/g)].map(
    (match) => match[1] as string,
  )

describe('the command in a few files', () => {
  test('starts from the bundle, and a list loads the fewest', () => {
    expect(loadedWith(main)).toEqual(['main', 'start'])
    expect(loadedWith(chunk('snapshots'))).toEqual(['lists', 'snapshots', 'start'])
    expect(scriptsOf('lists')).toEqual(['yaml'])
    expect(scriptsOf('s3-client')).toEqual(['sdk'])
    expect(loadedWith(chunk('replicate'))).not.toContain('s3-client')
  })

  test('nothing runs the program that imports from it', () => {
    const importers = readdirSync(bundleFolder()).filter((file) =>
      /["'][./]*cli\/main\.js["']/.test(readFileSync(join(bundleFolder(), file), 'utf8')),
    )
    expect(importers).toEqual([])
  })

  test('workers lie beside who starts them', () => {
    const started = sources
      .filter((file) => !file.startsWith('cli/demo'))
      .flatMap((file) =>
        [
          ...readFileSync(join(projectRoot, 'src', file), 'utf8').matchAll(/new URL\('([^']+)', import\.meta\.url\)/g),
        ].map((match) => match[1] as string),
      )
    expect(started).toContain('./checkpoint-worker.js')
    expect(started.filter((path) => !readdirSync(bundleFolder()).includes(path.replace('./', '')))).toEqual([])
  })

  test('the licences of what is in it come along', () => {
    const licences = readFileSync(join(bundleFolder(), 'LICENSES.txt'), 'utf8')
    expect(licences).toMatch(/^@aws-sdk\/client-s3 \S+ \(Apache-2\.0\)$/m)
    expect(licences).toMatch(/^yaml \S+ \(ISC\)$/m)
  })

  test('what is not bundled, one file for each source, is the same command', async () => {
    const { dispatch } = (await import(
      join(dirname(main), 'dispatch.js')
    )) as typeof import('../../src/cli/dispatch.js')
    let printed = ''
    const write = (text: string): void => {
      printed += text
    }
    const output = { write, isTTY: false, columns: undefined }
    const io = { stdout: output, stderr: output, env: {}, cwd: '/', signal: new AbortController().signal }
    expect(await dispatch(['version'], io as unknown as Parameters<typeof dispatch>[1])).toBe(0)
    expect(printed).toBe((await mustRun(process.execPath, [main, 'version'])).stdout)
  })
})
