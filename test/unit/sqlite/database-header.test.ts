// The header of a database file, as SQLite writes it and as anything else may look.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { DATABASE_HEADER_BYTES, isPageSize, parseDatabaseHeader } from '../../../src/sqlite/database-header.js'
import { tempDirectory } from '../../support/temp.js'

const pageSizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]

function makeHeader(pageSize: number, journalMode: 'wal' | 'delete'): Buffer {
  const path = join(tempDirectory(), 'header.db')
  const database = new Database(path)
  database.pragma(`page_size = ${pageSize}`)
  database.pragma(`journal_mode = ${journalMode}`)
  database.exec('create table t(x); create table u(x)')
  database.close()
  return readFileSync(path)
}

test.each(pageSizes)('page size %i', (pageSize) => {
  expect(isPageSize(pageSize)).toBe(true)
  expect(parseDatabaseHeader(makeHeader(pageSize, 'wal'))).toEqual({ pageSize, walMode: true, pageCount: 3 })
  expect(parseDatabaseHeader(makeHeader(pageSize, 'delete'))).toEqual({ pageSize, walMode: false, pageCount: 3 })
})

test('half a switch to WAL mode is not WAL mode', () => {
  const header = makeHeader(4096, 'wal')
  header[19] = 1
  expect(parseDatabaseHeader(header)?.walMode).toBe(false)
})

test('anything else is no database', () => {
  const header = makeHeader(4096, 'wal')
  expect(parseDatabaseHeader(header.subarray(0, DATABASE_HEADER_BYTES - 1))).toBeUndefined()
  expect(parseDatabaseHeader(Buffer.alloc(0))).toBeUndefined()
  expect(parseDatabaseHeader(Buffer.alloc(200))).toBeUndefined()
  for (let at = 0; at < 16; at++) {
    const other = Buffer.from(header)
    other[at]! ^= 1
    expect(parseDatabaseHeader(other)).toBeUndefined()
  }
  for (const raw of [0, 2, 256, 511, 513, 4097, 65535]) {
    const other = Buffer.from(header)
    other.writeUInt16BE(raw, 16)
    expect(parseDatabaseHeader(other)).toBeUndefined()
  }
})

test.each([0, 1, 256, 513, 1000, 131072, -512])('%i is no page size', (value) => {
  expect(isPageSize(value)).toBe(false)
})
