// The code cache of the bundle's scripts (build/code-cache.js): this Node takes what it wrote itself, and whatever else lies there changes
// nothing but the time. In a copy of dist, warmed by the Node that runs the test.

import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { beforeAll, expect, test } from 'vitest'
import { projectRoot } from '../support/make-dist.js'
import { mustRun } from '../support/process.js'
import { distMain } from '../support/programs.js'
import { suiteDirectory } from '../support/temp.js'

let warm = ''
let database = ''
beforeAll(async () => {
  const dist = dirname(dirname(await distMain()))
  const folder = suiteDirectory()
  warm = join(folder, 'dist')
  for (const part of ['bundle', 'cli']) await cp(join(dist, part), join(warm, part), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  database = join(folder, 'app.db')
  new Database(database).exec('create table t (x)').close()
  await writeFile(join(folder, 'litestream.yml'), `dbs: [{ path: ${database}, replicas: [{ url: s3://bucket/app }] }]`)
  await mustRun(process.execPath, [join(projectRoot, 'build', 'warm.mjs'), warm], { env: {} })
})

const listed = (): string => `${'path'.padEnd(database.length)}  replicas\n${database}  s3\n`
const bundled = (...names: string[]): string => join(warm, 'bundle', ...names)
const filesOf = async (ending: string): Promise<string[]> =>
  (await readdir(bundled())).filter((file) => file.endsWith(ending))

/** What `databases` prints, and the scripts with a cache that V8 took, of all that have one. */
async function start(...flags: string[]): Promise<{ printed: string; cached: string[] }> {
  const caches = await filesOf('.cache')
  const program = `
    import { loaded, loadScript } from ${JSON.stringify(pathToFileURL(bundled('code-cache.js')))}
    for (const file of ${JSON.stringify(caches)}) loadScript(new URL(file.replace(/[.]cache$/, ''), ${JSON.stringify(pathToFileURL(bundled('x')))}))
    process.argv = [process.argv[0], 'litestream', 'databases', '-config', ${JSON.stringify(join(dirname(warm), 'litestream.yml'))}]
    await import(${JSON.stringify(pathToFileURL(join(warm, 'cli', 'main.js')))})
    process.stdout.write('\\n' + JSON.stringify([...loaded].filter(([, { isCached }]) => isCached).map(([path]) => path)))`
  const { stdout } = await mustRun(process.execPath, [...flags, '--input-type=module', '--eval', program])
  const [printed = '', paths = '[]'] = stdout.split('\n\n')
  return {
    printed: `${printed}\n`,
    cached: (JSON.parse(paths) as string[]).map((path) => path.slice(dirname(path).length + 1)).sort(),
  }
}

/** With other content in place of the file, for a moment. */
async function changed<T>(path: string, content: Uint8Array | undefined, body: () => Promise<T>): Promise<T> {
  const before = await readFile(path)
  try {
    if (content) await writeFile(path, content)
    else await rm(path)
    return await body()
  } finally {
    await rm(path, { recursive: true, force: true })
    await writeFile(path, before)
  }
}

/** The large file of a package, and its cache. */
async function scriptOf(name: string): Promise<{ path: string; file: string; source: Buffer; cache: Buffer }> {
  const files = (await filesOf('.cjs')).filter((file) => file.startsWith(`${name}-`))
  const all = await Promise.all(files.map(async (file) => ({ file, source: await readFile(bundled(file)) })))
  const { file, source } = all.sort((a, b) => b.source.length - a.source.length)[0] as (typeof all)[0]
  return { path: bundled(file), file, source, cache: await readFile(bundled(`${file}.cache`)) }
}

test('this Node takes what it wrote, for every script that a list needs', async () => {
  const { printed, cached } = await start()
  expect(printed).toBe(listed())
  expect(cached.map((file) => `${file}.cache`)).toEqual((await filesOf('.cache')).sort())
  expect(cached).toEqual(expect.arrayContaining([(await scriptOf('sdk')).file, (await scriptOf('yaml')).file]))
})

test('functions that a list calls are in it', async () => {
  const { source, cache } = await scriptOf('sdk')
  // What V8 has of a script before anything was called is a fraction of its source.
  expect(cache.length).toBeGreaterThan(source.length)
})

test('a cache that is damaged, cut, empty, of another script or absent is none', async () => {
  const { path, file, cache } = await scriptOf('yaml')
  const flipped = Buffer.from(cache)
  flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] as number) ^ 1
  const others = [flipped, cache.subarray(0, 40_000), cache.subarray(0, 32), Buffer.alloc(0), undefined]
  for (const content of [...others, (await scriptOf('sdk')).cache]) {
    const { printed, cached } = await changed(`${path}.cache`, content, () => start())
    expect(printed).toBe(listed())
    expect(cached).not.toContain(file)
  }
})

test('a directory in its place is none', async () => {
  const { path, file } = await scriptOf('yaml')
  const { printed, cached } = await changed(`${path}.cache`, undefined, async () => {
    await mkdir(`${path}.cache`)
    return await start()
  })
  expect(printed).toBe(listed())
  expect(cached).not.toContain(file)
})

test('a script that was changed without becoming longer or shorter is what runs', async () => {
  const { path, source } = await scriptOf('yaml')
  const broken = Buffer.from(source)
  broken.write('throw 47;', 0)
  const ended = await changed(path, broken, () => start().catch((error: Error) => error.message))
  expect(ended).toContain('\n47\n')
})

test('one from another version, machine or set of flags is none', async () => {
  const other = (name: string): string =>
    `--import=data:text/javascript,Object.defineProperty(process,'${name}',{value:'other'})`
  for (const flag of [other('version'), other('arch'), '--no-flush-bytecode']) {
    const { printed, cached } = await start(flag)
    expect(printed).toBe(listed())
    expect(cached).toEqual([])
  }
})
