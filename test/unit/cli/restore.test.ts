// The restore command: flags, the order of the checks, exit statuses, and the messages that people and scripts match.

import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { FileClient } from '../../../src/replica/file-client.js'
import { inProcess } from '../../support/in-process.js'
import { DatabaseModel, makePage, SyntheticReplica } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'

const GENERATION = '0123456789abcdef'
const PAGE_SIZE = 512

let directory: string
let config: string
let database: string
let url: string

const restore = (...args: string[]) => inProcess(['restore', ...args], { cwd: directory })

async function expectFailure(args: string[], message: string): Promise<void> {
  const { code, stdout, stderr } = await restore(...args)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.split('\n').at(-2)).toContain('level=ERROR msg="failed to run" error=')
  expect(stderr).toContain(message)
}

/** The second state is one index later and an hour younger. */
async function writeReplica(): Promise<{ first: Buffer; second: Buffer }> {
  const client = new FileClient({ path: join(directory, 'replica') })
  const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize: PAGE_SIZE, ours: true })
  const model = new DatabaseModel(PAGE_SIZE)
  const change = (version: number, pageCount: number) => {
    const transaction = { pages: new Map([[2, makePage(2, version, PAGE_SIZE)]]), pageCount }
    model.apply(transaction)
    return transaction
  }
  model.apply({ pages: new Map([[1, makePage(1, 0, PAGE_SIZE)]]), pageCount: 1 })
  await replica.snapshot(model.bytes(), Date.parse('2026-01-01T00:00:00Z'))
  await replica.segment([change(1, 2)], Date.parse('2026-01-01T01:00:00Z'))
  const first = model.bytes()
  replica.nextIndex()
  await replica.segment([change(2, 3)], Date.parse('2026-01-01T02:00:00Z'))
  return { first, second: model.bytes() }
}

beforeEach(() => {
  directory = tempDirectory()
  database = join(directory, 'app.db')
  config = join(directory, 'litestream.yml')
  url = `file://${join(directory, 'replica')}`
  writeFileSync(config, `dbs:\n  - path: ${database}\n    replicas:\n      - path: ${join(directory, 'replica')}\n`)
})

const unchecked = ['-integrity-check', 'none']

describe('the words of the command line', () => {
  test.each([
    [[], 'database path or replica URL required'],
    [['a', 'b'], 'too many arguments'],
    [
      ['-timestamp', '2026-01-01 00:00:00', 'a'],
      'invalid -timestamp, must specify in ISO 8601\\u00a0format (e.g. 2000-01-01T00:00:00Z)',
    ],
    [['-timestamp', '2026-01-01T00:00:00Z', '-index', '0', 'a'], 'cannot specify index & timestamp to restore'],
    [['-config', 'x', 'file:///r'], 'cannot specify a replica URL and the -config flag'],
    [['file:///r'], 'output path required'],
    [['-generation', 'xyz', 'a'], 'a generation is 16 lowercase hexadecimal digits'],
    [['-index', 'zz', 'a'], 'invalid value \\"zz\\" for flag -index: invalid hexadecimal format'],
    [['-integrity-check', 'some', 'a'], 'must be one of none, quick, full'],
  ])('%j', async (args, message) => {
    await expectFailure(args, message)
  })
})

describe('from the configuration', () => {
  test('the newest state, in the place of the database; logs on stderr, nothing on stdout', async () => {
    const { second } = await writeReplica()
    const { code, stdout, stderr } = await restore('-config', config, ...unchecked, database)
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(readFileSync(database).equals(second)).toBe(true)
    expect(readdirSync(directory).sort()).toEqual(['app.db', 'litestream.yml', 'replica'])
    expect(stderr).toMatch(/level=INFO msg="restoring snapshot" generation=0123456789abcdef index=0 path=/)
    expect(stderr).toMatch(
      /msg=restored path=\S+ replica=file position=0123456789abcdef\/00000001:0 state=2026-01-01T02:00:00.000Z/,
    )
  })

  test('up to an index, a moment, in a generation, of a replica, elsewhere', async () => {
    const { first, second } = await writeReplica()
    const cases: [string[], Buffer][] = [
      [['-index', '0'], first],
      [['-index', '00000001'], second],
      [['-timestamp', '2026-01-01T02:59:59.999+01:00'], first],
      [['-timestamp', '2026-01-01T02:00:00Z'], second],
      [['-timestamp', '2030-01-01T00:00:00Z'], second],
      [['-generation', GENERATION, '-replica', 'file', '-parallelism', '0'], second],
    ]
    for (const [place, [flags, expected]] of cases.entries()) {
      const { code, stderr } = await restore('-config', config, '-o', `out-${place}`, ...unchecked, ...flags, database)
      expect(code, stderr).toBe(0)
      expect(readFileSync(join(directory, `out-${place}`)).equals(expected), flags.join(' ')).toBe(true)
    }
  })

  test.each([
    [
      ['-timestamp', '2020-01-01T00:00:00Z'],
      'nothing at or before 2020-01-01T00:00:00.000Z: the backups reach from 2026-01-01T00:00:00.000Z to 2026-01-01T02:00:00.000Z',
    ],
    [['-index', '7'], 'index 00000007 is beyond the newest of generation 0123456789abcdef, which is 00000001'],
    [['-generation', 'ffffffffffffffff'], 'no matching backups found'],
    [['-replica', 'nas'], 'replica \\"nas\\" not found for database'],
    [['-integrity-check', 'quick'], 'is damaged: '],
  ])('%j is refused, and nothing is left', async (flags, message) => {
    await writeReplica()
    await expectFailure(['-config', config, ...flags, database], message)
    expect(existsSync(database)).toBe(false)
    expect(readdirSync(directory).sort()).toEqual(['litestream.yml', 'replica'])
  })

  test('a database that is not in it, and a configuration that is not there', async () => {
    await expectFailure(
      ['-config', config, join(directory, 'other')],
      `database not found in config: ${directory}/other`,
    )
    await expectFailure(['-config', 'none.yml', database], `config file not found: ${directory}/none.yml`)
  })

  test('an existing database is never overwritten', async () => {
    await writeReplica()
    writeFileSync(database, 'precious')
    await expectFailure(['-config', config, database], `cannot restore, output path already exists: ${database}`)
    expect(readFileSync(database, 'utf8')).toBe('precious')
  })
})

describe('conditions', () => {
  test('-if-db-not-exists with a database: success, and the replica is not even looked at', async () => {
    writeFileSync(database, 'precious')
    writeFileSync(join(directory, 'replica'), 'not a directory')
    const { code, stderr } = await restore('-config', config, '-if-db-not-exists', database)
    expect(code).toBe(0)
    expect(stderr).toContain('level=INFO msg="database already exists, skipping"')
  })

  test('-if-db-not-exists without one restores', async () => {
    await writeReplica()
    expect(await restore('-config', config, '-if-db-not-exists', ...unchecked, database)).toMatchObject({ code: 0 })
    expect(existsSync(database)).toBe(true)
  })

  test('-if-replica-exists without a backup: success; without the flag: failure', async () => {
    await expectFailure(['-config', config, database], 'no matching backups found')
    const { code, stderr } = await restore('-config', config, '-if-replica-exists', database)
    expect(code).toBe(0)
    expect(stderr).toContain('level=INFO msg="no matching backups found"')
    expect(existsSync(database)).toBe(false)
  })

  test('-if-replica-exists does not hide a replica that cannot be read', async () => {
    mkdirSync(join(directory, 'replica'))
    symlinkSync('generations', join(directory, 'replica', 'generations')) // a link to itself: nobody can read it
    await expectFailure(['-config', config, '-if-replica-exists', database], 'ELOOP')
  })
})

test('from a URL, to a path relative to the working directory', async () => {
  const { second } = await writeReplica()
  const { code, stderr } = await restore('-o', 'some/where.db', ...unchecked, url)
  expect(code, stderr).toBe(0)
  expect(readFileSync(join(directory, 'some', 'where.db')).equals(second)).toBe(true)
})
