// `restore` with -all, -replace, -dry-run and -json: what is done, what is said about it, and the exit status.

import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { FileClient } from '../../../src/replica/file-client.js'
import { inProcess } from '../../support/in-process.js'
import { makePage, SyntheticReplica } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'

const PAGE_SIZE = 512
const NAMES = ['one', 'two', 'three']

let directory: string

const restore = (...args: string[]) =>
  inProcess(['restore', '-config', 'litestream.yml', '-integrity-check', 'none', ...args], { cwd: directory })

const content = (version: number): Buffer =>
  Buffer.concat([makePage(1, version, PAGE_SIZE), makePage(2, version, PAGE_SIZE)])

/** Version 0 in January, version 1 in February. */
async function writeReplica(name: string): Promise<void> {
  const client = new FileClient({ path: join(directory, 'replicas', name) })
  const options = { generation: '0123456789abcdef', pageSize: PAGE_SIZE, ours: true }
  const replica = new SyntheticReplica(client, options)
  await replica.snapshot(content(0), Date.parse('2026-01-01T00:00:00Z'))
  const pages = new Map([1, 2].map((page) => [page, makePage(page, 1, PAGE_SIZE)]))
  await replica.segment([{ pages, pageCount: 2 }], Date.parse('2026-02-01T00:00:00Z'))
}

const pathOf = (name: string): string => join(directory, `${name}.db`)
const left = (): string[] => readdirSync(directory).filter((name) => name.includes('.db'))

beforeEach(async () => {
  directory = tempDirectory()
  const database = (name: string) => `  - path: ${name}.db\n    replicas:\n      - path: replicas/${name}\n`
  writeFileSync(join(directory, 'litestream.yml'), `dbs:\n${NAMES.map(database).join('')}`)
})

describe('-all', () => {
  test('restores every database to its own path', async () => {
    for (const name of NAMES) await writeReplica(name)
    const { code, stdout, stderr } = await restore('-all')
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    for (const name of NAMES) expect(readFileSync(pathOf(name)).equals(content(1)), name).toBe(true)
    expect(stderr).toMatch(/level=INFO msg="all databases" restored=3 skipped=0 failed=0\n$/)
  })

  test('goes on after one that fails, names it, and fails', async () => {
    for (const name of NAMES) await writeReplica(name)
    writeFileSync(pathOf('two'), 'precious')
    const { code, stdout, stderr } = await restore('-all', '-json')
    expect(code).toBe(1)
    expect(readFileSync(pathOf('two'), 'utf8')).toBe('precious')
    for (const name of ['one', 'three']) expect(readFileSync(pathOf(name)).equals(content(1)), name).toBe(true)
    expect(stderr).toMatch(/level=ERROR msg="cannot restore" db=\S+two.db error="cannot restore, output path already/)
    expect(stderr).toMatch(/level=INFO msg="all databases" restored=2 skipped=0 failed=1\n$/)
    const { databases } = JSON.parse(stdout) as { databases: { status: string; database: string }[] }
    expect(databases.map(({ status, database }) => [database, status])).toEqual([
      [pathOf('one'), 'restored'],
      [pathOf('two'), 'failed'],
      [pathOf('three'), 'restored'],
    ])
  })

  test('at boot: what is there stays, what has no backup is no failure', async () => {
    await writeReplica('one')
    await writeReplica('two')
    writeFileSync(pathOf('two'), 'precious')
    const { code, stderr } = await restore('-all', '-if-db-not-exists', '-if-replica-exists')
    expect(code).toBe(0)
    expect(left()).toEqual(['one.db', 'two.db'])
    expect(readFileSync(pathOf('two'), 'utf8')).toBe('precious')
    expect(stderr).toMatch(/restored=1 skipped=2 failed=0\n$/)
    // And without the condition, the missing backup is one.
    expect((await restore('-all', '-if-db-not-exists')).stderr).toMatch(/restored=0 skipped=2 failed=1\n$/)
  })

  test('to a moment, over what is there', async () => {
    for (const name of NAMES) await writeReplica(name)
    for (const name of NAMES) writeFileSync(pathOf(name), `old ${name}`)
    const { code, stderr } = await restore('-all', '-replace', '-timestamp', '2026-01-15T00:00:00Z')
    expect(code, stderr).toBe(0)
    for (const name of NAMES) {
      expect(readFileSync(pathOf(name)).equals(content(0)), name).toBe(true)
      const aside = left().filter((file) => file.startsWith(`${name}.db.replaced-`))
      expect(aside.map((file) => readFileSync(join(directory, file), 'utf8'))).toEqual([`old ${name}`])
    }
  })

  test.each([
    [['-all', 'one.db'], 'name none'],
    [['-all', '-o', 'x'], 'cannot be combined with -o'],
    [['-all', '-index', '1'], 'with -all use -timestamp'],
    [['-all', '-generation', '0123456789abcdef'], 'with -all use -timestamp'],
    [['-replace', '-if-db-not-exists', 'one.db'], '-replace and -if-db-not-exists contradict each other'],
    [['-owner', 'rails', 'one.db'], '-owner takes numbers'],
  ])('%j is refused', async (args, message) => {
    const { code, stderr } = await restore(...args)
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)])
  })
})

describe('-dry-run', () => {
  const plan = {
    status: 'planned',
    replica: 'file',
    generation: '0123456789abcdef',
    snapshot: { index: '00000000', bytes: expect.any(Number) },
    segments: 1,
    bytes: expect.any(Number),
    state: '2026-02-01T00:00:00.000Z',
    databaseBytes: 2 * PAGE_SIZE,
    replaces: [],
    obstacles: [],
  }

  test('says what would be done, for people and for programs, and writes nothing', async () => {
    await writeReplica('one')
    const { code, stdout } = await restore('-dry-run', 'one.db')
    expect(code).toBe(0)
    expect(stdout).toBe(`${pathOf('one')}
  from        replica file (file://${directory}/replicas/one), generation 0123456789abcdef
  leads to    2026-02-01T00:00:00.000Z
  fetches     snapshot 00000000 and 1 segments, ${/and 1 segments, (.*)/.exec(stdout)?.[1]}
  size        1.0 KiB
  written to  ${pathOf('one')}
  in the way  nothing
`)
    const json = await restore('-dry-run', '-json', 'one.db')
    expect(json.code).toBe(0)
    const [report] = (JSON.parse(json.stdout) as { databases: Record<string, unknown>[] }).databases
    expect(report).toMatchObject({ ...plan, database: pathOf('one'), output: pathOf('one') })
    const stored = readdirSync(join(directory, 'replicas'), { recursive: true, withFileTypes: true })
    const sizes = stored.filter((entry) => entry.isFile()).map((e) => readFileSync(join(e.parentPath, e.name)).length)
    expect(report?.bytes).toBe(sizes.reduce((a, b) => a + b))
    expect(left()).toEqual([])
  })

  test('fails when something is in the way, and says so; with -replace it is not', async () => {
    await writeReplica('one')
    writeFileSync(pathOf('one'), 'old')
    writeFileSync(`${pathOf('one')}-wal`, 'old')
    const { code, stdout, stderr } = await restore('-dry-run', '-json', 'one.db')
    expect(code).toBe(1)
    expect(stderr).toContain(`cannot restore, output path already exists: ${pathOf('one')}`)
    expect(JSON.parse(stdout).databases[0]).toMatchObject({
      status: 'failed',
      obstacles: [expect.stringContaining('output path already exists')],
    })
    const replacing = await restore('-dry-run', '-replace', '-json', 'one.db')
    expect(replacing.code).toBe(0)
    const replaces = [pathOf('one'), `${pathOf('one')}-wal`]
    expect(JSON.parse(replacing.stdout).databases[0]).toMatchObject({ ...plan, replaces })
    expect(left()).toEqual(['one.db', 'one.db-wal'])
  })

  test('of all, at a moment; a missing backup fails as it would', async () => {
    await writeReplica('one')
    await writeReplica('three')
    const { code, stdout, stderr } = await restore('-all', '-dry-run', '-timestamp', '2026-01-10T00:00:00Z')
    expect(code).toBe(1)
    expect(stdout.match(/leads to {4}2026-01-01T00:00:00.000Z\n/g)).toHaveLength(2)
    expect(stderr).toMatch(/planned=2 skipped=0 failed=1\n$/)
    expect(left()).toEqual([])
  })

  test('a directory that cannot be written is in the way', async () => {
    await writeReplica('one')
    const { code, stdout } = await restore('-dry-run', '-json', '-o', '/proc/self/app.db', 'one.db')
    expect(code).toBe(1)
    expect(JSON.parse(stdout).databases[0].obstacles.join()).toMatch(/\/proc\/self .*(cannot be written|0 bytes free)/)
  })
})

test('-json tells what was restored and where the old database went', async () => {
  await writeReplica('one')
  writeFileSync(pathOf('one'), 'old')
  chmodSync(pathOf('one'), 0o600)
  const { code, stdout } = await restore('-json', '-replace', 'one.db')
  expect(code).toBe(0)
  const [report] = (JSON.parse(stdout) as { databases: { replacedAs: string }[] }).databases
  expect(report).toMatchObject({
    status: 'restored',
    position: '0123456789abcdef/00000000:0',
    state: '2026-02-01T00:00:00.000Z',
    databaseBytes: 2 * PAGE_SIZE,
  })
  expect(readFileSync(report?.replacedAs ?? '', 'utf8')).toBe('old')
  expect(existsSync(pathOf('one'))).toBe(true)
})
