// Who reads the WAL, from a text like /proc/locks, and from a real database.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { unreadable } from '../../../src/source/readable.js'
import { findReaders, walReaders } from '../../../src/source/wal-readers.js'
import { tempDirectory } from '../../support/temp.js'

const marks = [0, 12, 34, 0, 0]
const locks = `1: POSIX  ADVISORY  READ  41 08:01:777 128 128
2: POSIX  ADVISORY  READ  41 08:01:777 124 124
3: POSIX  ADVISORY  READ  42 08:01:777 125 125
4: POSIX  ADVISORY  READ  43 08:01:777 123 123
5: POSIX  ADVISORY  WRITE 44 08:01:777 120 120
5: -> POSIX  ADVISORY  READ 45 08:01:777 124 124
6: POSIX  ADVISORY  READ  46 08:01:778 124 124
7: FLOCK  ADVISORY  READ  47 08:01:777 0 EOF
`

test('only readers of this file, each with what it sees', () => {
  expect(findReaders(locks, 777n, marks, 42, (pid) => `p${pid}`)).toEqual([
    { pid: 41, program: 'p41', ours: false, mark: 1, frame: 12 },
    { pid: 42, program: 'p42', ours: true, mark: 2, frame: 34 },
    { pid: 43, program: 'p43', ours: false, mark: 0, frame: 0 },
  ])
})

test('a reader of a real database is found by its locks', () => {
  const path = join(tempDirectory('readers'), 'app.db')
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  expect(unreadable(join(path, 'x'))).toMatch(/not a directory/)
  const { ino } = statSync(`${path}-shm`, { bigint: true })
  expect(walReaders(ino, [0, 2, 0, 0, 0])).toEqual([])
  database.exec('BEGIN; SELECT * FROM t')
  const [reader] = walReaders(ino, [0, 2, 0, 0, 0])
  expect(reader).toMatchObject({ pid: process.pid, ours: true, mark: 1, frame: 2 })
  expect(reader?.program).not.toBe('')
  database.close()
})
