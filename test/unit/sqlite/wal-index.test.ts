// The head of a wal-index that SQLite itself wrote, and every way in which it can be torn.

import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseWalIndex, sameCycle, WAL_INDEX_BYTES, WalIndexParser } from '../../../src/sqlite/wal-index.js'
import { tempDirectory } from '../../support/temp.js'

/** An open database, and its wal-index as it is at the moment of the call. */
function open(pageSize: number) {
  const path = join(tempDirectory(), 'index.db')
  const database = new Database(path)
  database.pragma(`page_size = ${pageSize}`)
  database.pragma('journal_mode = wal')
  database.pragma('wal_autocheckpoint = 0')
  database.exec('create table t(x)')
  const fd = openSync(`${path}-shm`, 'r')
  onTestFinished(() => {
    database.close()
    closeSync(fd)
  })
  const bytes = () => {
    const read = Buffer.alloc(WAL_INDEX_BYTES)
    readSync(fd, read, 0, WAL_INDEX_BYTES, 0)
    return read
  }
  return { database, bytes, header: () => parseWalIndex(bytes()) }
}

test.each([512, 1024, 4096, 32768, 65536])('page size %i is found again', (pageSize) => {
  expect(open(pageSize).header()?.pageSize).toBe(pageSize)
})

test('commits move it on, checkpoints are seen, a restart changes the salts and not the counter', () => {
  const { database, header } = open(4096)
  const before = header()!
  expect(before).toMatchObject({ pageCount: 2, bigEndianChecksum: false, backfilled: 0, backfillAttempted: 0 })
  database.exec('insert into t values(1)')
  const after = header()!
  expect(after.iChange).toBe(before.iChange + 1)
  expect(after.mxFrame).toBeGreaterThan(before.mxFrame)
  expect(sameCycle(before, after)).toBe(true)
  database.pragma('wal_checkpoint(PASSIVE)')
  expect(header()).toMatchObject({ mxFrame: after.mxFrame, backfilled: after.mxFrame })
  database.pragma('wal_checkpoint(TRUNCATE)')
  const restarted = header()!
  expect(restarted).toMatchObject({ mxFrame: 0, backfilled: 0, iChange: after.iChange })
  expect(restarted.salt1).toBe((after.salt1 + 1) >>> 0)
  expect(sameCycle(after, restarted)).toBe(false)
  database.exec('insert into t values(2)')
  expect(header()).toMatchObject({ iChange: after.iChange + 1, salt1: restarted.salt1, salt2: restarted.salt2 })
})

describe('is undefined', () => {
  test('while a writer is in its midst: any bit of one copy differs', () => {
    const { bytes } = open(4096)
    const whole = bytes()
    for (let at = 0; at < 96; at++) {
      const torn = Buffer.from(whole)
      torn[at]! ^= 1 << (at % 8)
      expect(parseWalIndex(torn)).toBeUndefined()
    }
  })

  test('when both copies are equal and wrong', () => {
    const { bytes } = open(4096)
    const whole = bytes()
    for (let at = 0; at < 48; at++) {
      const wrong = Buffer.from(whole)
      wrong[at]! ^= 1 << (at % 8)
      wrong[at + 48]! ^= 1 << (at % 8)
      expect(parseWalIndex(wrong)).toBeUndefined()
    }
  })

  test('before it was written, and when it is cut', () => {
    const { bytes } = open(4096)
    expect(parseWalIndex(Buffer.alloc(WAL_INDEX_BYTES))).toBeUndefined()
    expect(parseWalIndex(bytes().subarray(0, WAL_INDEX_BYTES - 1))).toBeUndefined()
    expect(parseWalIndex(Buffer.alloc(0))).toBeUndefined()
  })
})

test('what is the same is the same object, whatever was read in between', () => {
  const { database, bytes, header } = open(4096)
  const parser = new WalIndexParser()
  const first = parser.parse(bytes())
  expect(first).toEqual(header())
  expect(parser.parse(bytes())).toBe(first)
  const torn = bytes()
  torn[8]!++
  expect(parser.parse(torn)).toBeUndefined()
  expect(parser.parse(bytes())).toBe(first)
  database.exec('insert into t values(1)')
  const second = parser.parse(bytes())
  expect(second).not.toBe(first)
  expect(second).toEqual(header())
  database.pragma('wal_checkpoint(PASSIVE)')
  expect(parser.parse(bytes())).toEqual(header())
  expect(parser.parse(bytes())).not.toBe(second)
})
