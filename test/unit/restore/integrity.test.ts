// The check sees damage, creates no file beside the database, and leaves the database's bytes alone.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { checkIntegrity } from '../../../src/restore/integrity.js'
import { tempDirectory } from '../../support/temp.js'

const PAGE_SIZE = 4096

/** A database file in WAL mode without any `-wal`, as a restore makes it; returns the path of the only file there. */
function makeDatabase(sql: string, journalMode = 'WAL'): string {
  const path = join(tempDirectory(), 'db')
  const database = new Database(path)
  database.pragma(`page_size = ${PAGE_SIZE}`)
  database.pragma(`journal_mode = ${journalMode}`)
  database.exec(sql)
  database.close()
  return path
}

const ROWS = `CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t (a);
  WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000) INSERT INTO t SELECT x, 'row ' || x FROM n;`

async function check(path: string, kind: 'quick' | 'full') {
  const file = await open(path, 'r+')
  try {
    return await checkIntegrity(path, file, kind)
  } finally {
    await file.close()
  }
}

test.each(['WAL', 'DELETE'])('a sound database in mode %s: nothing is created, nothing is changed', async (mode) => {
  const path = makeDatabase(ROWS, mode)
  const before = readFileSync(path)
  for (const kind of ['quick', 'full'] as const) {
    expect(await check(path, kind)).toEqual({ sound: true })
    expect(readdirSync(join(path, '..'))).toEqual(['db'])
    expect(readFileSync(path).equals(before)).toBe(true)
  }
})

test('a page of something else', async () => {
  const path = makeDatabase(ROWS)
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 3 * PAGE_SIZE, 4 * PAGE_SIZE)
  writeFileSync(path, bytes)
  for (const kind of ['quick', 'full'] as const) expect(await check(path, kind)).toMatchObject({ sound: false })
  expect(readFileSync(path).equals(bytes)).toBe(true)
})

test('an index that does not fit its table shows in the full check only', async () => {
  const path = makeDatabase(ROWS)
  const bytes = readFileSync(path)
  const at = bytes.indexOf('row 1234')
  bytes.write('row 12x4', at)
  writeFileSync(path, bytes)
  expect(await check(path, 'quick')).toEqual({ sound: true })
  expect(await check(path, 'full')).toMatchObject({
    sound: false,
    problems: [expect.stringContaining('index i'), ...[]],
  })
})

test('a first page of something else, and an empty file', async () => {
  const path = makeDatabase(ROWS)
  writeFileSync(path, Buffer.alloc(8 * PAGE_SIZE, 0x77))
  expect(await check(path, 'quick')).toMatchObject({ sound: false })
  writeFileSync(path, '')
  expect(await check(path, 'quick')).toEqual({ sound: true })
})

test('a schema that needs a function of the application cannot be checked, which is no damage', async () => {
  const path = join(tempDirectory(), 'db')
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.function('mine', { deterministic: true }, (x) => x)
  database.exec('CREATE TABLE t (a); CREATE INDEX i ON t (mine(a)); INSERT INTO t VALUES (1)')
  database.close()
  expect(await check(path, 'full')).toEqual({ sound: undefined, reason: expect.stringContaining('mine') })
})
