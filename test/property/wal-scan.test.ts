// The WAL formats against SQLite itself: WALs that it wrote in random histories are read as it reads them, the same WALs damaged are
// believed exactly as far as it believes them, and what we encode it accepts.

import { closeSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PageMap } from '../../src/model/page-map.js'
import {
  encodeFrame,
  encodeWalHeader,
  FRAME_HEADER_BYTES,
  frameOffset,
  parseWalHeader,
  WAL_HEADER_BYTES,
  WalChecksum,
} from '../../src/sqlite/wal-format.js'
import { parseWalIndex, sameCycle, WAL_INDEX_BYTES, type WalIndexHeader } from '../../src/sqlite/wal-index.js'
import { WalScanner } from '../../src/sqlite/wal-scan.js'
import { composeNaively, type NaiveWal, readNaively, writeNaively } from '../support/naive-wal.js'
import { differingPages } from '../support/observer/scene.js'
import { tempDirectory } from '../support/temp.js'

type Operation =
  | { readonly do: 'insert'; readonly bytes: number }
  | { readonly do: 'update' | 'delete'; readonly of: number }
  | { readonly do: 'pragma' | 'vacuum' }

interface History {
  readonly pageSize: number
  readonly transactions: readonly (readonly Operation[])[]
  /** Transactions before a restart of the WAL, so that an old cycle lies behind the new one. */
  readonly restartAfter: number
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('insert' as const), bytes: fc.nat(9000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('update' as const, 'delete' as const), of: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pragma' as const, 'vacuum' as const) }) },
)
const history: fc.Arbitrary<History> = fc.record({
  pageSize: fc.constantFrom(512, 1024, 4096, 8192, 65536),
  transactions: fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }),
  restartAfter: fc.nat(8),
})

interface Written {
  readonly file: Buffer
  readonly wal: Buffer
  readonly index: WalIndexHeader | undefined
  /** What SQLite reads from both. */
  readonly contents: Buffer
  /** Growth of the change counter over the cycle that the WAL holds. */
  readonly commits: number
}

function write({ pageSize, transactions, restartAfter }: History, directory: string): Written {
  const path = join(directory, 'written.db')
  remove(path)
  const database = new Database(path)
  // Not closed before the database: closing it would drop SQLite's locks.
  let shm: number | undefined
  try {
    database.pragma(`page_size = ${pageSize}`)
    database.pragma('journal_mode = wal')
    database.pragma('synchronous = off')
    database.pragma('wal_autocheckpoint = 0')
    database.exec('create table t(id integer primary key, b blob)')
    const bytes = Buffer.alloc(WAL_INDEX_BYTES)
    const opened = openSync(`${path}-shm`, 'r')
    shm = opened
    const index = () => parseWalIndex(bytes.subarray(0, readSync(opened, bytes, 0, WAL_INDEX_BYTES, 0)))
    // Of the change counter: before the cycle, and at the newest commit.
    let before = 0
    let last = index()
    transactions.forEach((operations, i) => {
      if (i === restartAfter) database.pragma('wal_checkpoint(RESTART)')
      if (operations.some((one) => one.do === 'vacuum')) database.exec('vacuum')
      else {
        database.transaction(() => {
          for (const one of operations) run(database, one)
        })()
      }
      const now = index()
      // The restart itself is the next writer's.
      if (now && last && !sameCycle(now, last)) before = last.iChange
      last = now
    })
    const wal = readFileSync(`${path}-wal`)
    const found = index()
    const commits = (found?.iChange ?? 0) - before
    return { file: readFileSync(path), wal, index: found, contents: database.serialize(), commits }
  } finally {
    database.close()
    if (shm !== undefined) closeSync(shm)
    remove(path)
  }
}

function run(database: Database.Database, one: Operation): void {
  if (one.do === 'insert') database.prepare('insert into t(b) values(randomblob(?))').run(one.bytes)
  else if (one.do === 'update') database.prepare('update t set b = randomblob(length(b)) where id = ?').run(one.of)
  else if (one.do === 'delete') database.prepare('delete from t where id > ?').run(one.of)
  else database.pragma('user_version = 7')
}

function remove(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

/** What SQLite makes of a database and a WAL that somebody left. */
function recover(file: Buffer, wal: Buffer, directory: string): Buffer {
  const path = join(directory, 'recovered.db')
  remove(path)
  writeFileSync(path, file)
  writeFileSync(`${path}-wal`, wal)
  const database = new Database(path)
  try {
    return database.serialize()
  } finally {
    database.close()
    remove(path)
  }
}

interface Scanned {
  readonly scanner: WalScanner
  readonly pages: readonly number[]
  readonly commits: readonly number[]
  readonly stop: string | undefined
  readonly commitCount: number
}

/** Scan with our scanner in pieces of `pieceFrames`; undefined without a valid header. */
function scan(wal: Buffer, pieceFrames: number): Scanned | undefined {
  const header = parseWalHeader(wal)
  if (!header) return undefined
  const { pageSize, salt1, salt2, checksum1, checksum2 } = header
  const scanner = new WalScanner(pageSize, header.bigEndianChecksum, salt1, salt2, { frames: 0, checksum1, checksum2 })
  const frameBytes = FRAME_HEADER_BYTES + pageSize
  const whole = Math.floor((wal.length - WAL_HEADER_BYTES) / frameBytes)
  const pages: number[] = []
  const commits: number[] = []
  let commitCount = 0
  const buffer = Buffer.from(new ArrayBuffer(pieceFrames * frameBytes))
  while (scanner.frames < whole) {
    const first = scanner.frames
    const count = Math.min(pieceFrames, whole - first)
    wal.copy(buffer, 0, frameOffset(first, pageSize), frameOffset(first + count, pageSize))
    const result = scanner.scan(buffer, count)
    pages.push(...result.pages.subarray(0, result.frames))
    commits.push(...result.commits.subarray(0, result.frames))
    commitCount += result.commitCount
    expect(scanner.frames).toBe(first + result.frames)
    if (result.frames < count) {
      expect(result.stop).toBeDefined()
      return { scanner, pages, commits, stop: result.stop, commitCount }
    }
    expect(result.stop).toBeUndefined()
  }
  return { scanner, pages, commits, stop: undefined, commitCount }
}

/** The database as our scanner sees it: the last committed version of each page over the file. */
function compose(file: Buffer, wal: Buffer, scanned: Scanned | undefined): Buffer {
  const last = scanned?.commits.findLastIndex((size) => size > 0) ?? -1
  if (!scanned || last < 0) return file
  const { pageSize } = scanned.scanner
  const latest = new PageMap()
  for (let frame = 0; frame <= last; frame++) latest.set(scanned.pages[frame]!, frame)
  const pageCount = scanned.commits[last]!
  const result = Buffer.alloc(pageCount * pageSize)
  file.copy(result, 0, 0, Math.min(file.length, result.length))
  for (const page of latest.sortedPages(pageCount)) {
    const at = frameOffset(latest.get(page)!, pageSize) + FRAME_HEADER_BYTES
    wal.copy(result, (page - 1) * pageSize, at, at + pageSize)
  }
  return result
}

function expectSame(scanned: Scanned | undefined, naive: NaiveWal | undefined): void {
  expect(scanned?.pages).toEqual(naive?.frames.map(({ page }) => page))
  expect(scanned?.commits).toEqual(naive?.frames.map(({ commit }) => commit))
  expect(scanned && [scanned.scanner.checksum1, scanned.scanner.checksum2]).toEqual(naive?.checksum)
}

describe('WALs that SQLite wrote', () => {
  test('are read as SQLite and a plain reader read them', () => {
    const directory = tempDirectory('wal')
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 9 }), (made, pieceFrames) => {
        const { file, wal, index, contents, commits } = write(made, directory)
        const scanned = scan(wal, pieceFrames)
        const naive = readNaively(wal)
        expectSame(scanned, naive)
        expect(differingPages(contents, composeNaively(file, naive))).toEqual([])
        if (index === undefined || scanned === undefined) throw new Error('no WAL was written')
        if (index.mxFrame > 0) {
          // The commit gate: what the wal-index publishes is what the chain says.
          expect(scanned.scanner.frames).toBe(index.mxFrame)
          expect([scanned.scanner.checksum1, scanned.scanner.checksum2]).toEqual([index.checksum1, index.checksum2])
          expect([scanned.scanner.salt1, scanned.scanner.salt2]).toEqual([index.salt1, index.salt2])
          expect(index.pageCount).toBe(contents.length / index.pageSize)
          expect(scanned.commitCount).toBe(commits)
        }
        expect(index.pageSize).toBe(made.pageSize)
        if (index.mxFrame > 0) expect(differingPages(contents, compose(file, wal, scanned))).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  const damage = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat(7) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('header' as const), frame: fc.nat(), at: fc.nat(23) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), at: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('swap' as const), a: fc.nat(), b: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat' as const), frame: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('noise' as const), bytes: fc.uint8Array({ maxLength: 2000 }) }),
    },
  )

  test('and that were damaged are believed as far as SQLite believes them', () => {
    const directory = tempDirectory('wal')
    fc.assert(
      fc.property(history, fc.array(damage, { minLength: 1, maxLength: 3 }), (made, damages) => {
        const { file, wal: whole } = write(made, directory)
        const frameBytes = FRAME_HEADER_BYTES + made.pageSize
        let wal = Buffer.from(whole)
        for (const one of damages) {
          const frames = Math.max(1, Math.floor((wal.length - WAL_HEADER_BYTES) / frameBytes))
          const start = (frame: number) => WAL_HEADER_BYTES + (frame % frames) * frameBytes
          if (wal.length <= WAL_HEADER_BYTES) break
          if (one.do === 'flip') wal[one.at % wal.length]! ^= 1 << one.bit
          else if (one.do === 'header') wal[start(one.frame) + one.at]! ^= 1 << (one.at % 8)
          else if (one.do === 'cut') wal = wal.subarray(0, one.at % wal.length)
          else if (one.do === 'noise') wal = Buffer.concat([wal, one.bytes])
          else if (one.do === 'repeat') {
            const frame = wal.subarray(start(one.frame), start(one.frame) + frameBytes)
            wal = Buffer.concat([wal, frame])
          } else {
            const [a, b] = [start(one.a), start(one.b)]
            const kept = Buffer.from(wal.subarray(a, a + frameBytes))
            wal.copyWithin(a, b, b + frameBytes)
            kept.copy(wal, b)
          }
        }
        const scanned = scan(wal, 4)
        expectSame(scanned, readNaively(wal))
        expect(differingPages(recover(file, wal, directory), compose(file, wal, scanned))).toEqual([])
      }),
      { numRuns: 120 },
    )
  })

  test('stop where an older cycle lies behind the newest one', () => {
    const directory = tempDirectory('wal')
    const small = [{ do: 'pragma' as const }]
    const large = [{ do: 'insert' as const, bytes: 60_000 }]
    const { wal, index } = write({ pageSize: 4096, transactions: [large, small], restartAfter: 1 }, directory)
    const scanned = scan(wal, 100)
    expect(scanned?.stop).toBe('salts')
    expect(scanned?.scanner.frames).toBe(index?.mxFrame)
    expect(wal.length).toBeGreaterThan(frameOffset((index?.mxFrame ?? 0) + 5, 4096))
  })

  test('with checksums in the other byte order are read and accepted alike', () => {
    const directory = tempDirectory('wal')
    fc.assert(
      fc.property(history, (made) => {
        const { file, wal, contents } = write(made, directory)
        const naive = readNaively(wal)
        if (!naive) throw new Error('no WAL was written')
        const other = writeNaively({ ...naive, bigEndian: !naive.bigEndian })
        const scanned = scan(other, 3)
        expect(parseWalHeader(other)?.bigEndianChecksum).toBe(true)
        expectSame(scanned, readNaively(other))
        expect(differingPages(recover(file, other, directory), compose(file, other, scanned))).toEqual([])
        // The restart of a cycle whose frames all are in the file leaves nothing to recover: then the file alone is the database.
        if (naive.frames.length > 0)
          expect(compose(file, other, scanned).length).toBe(composeNaively(file, naive).length)
        expect(contents.length).toBeGreaterThan(0)
      }),
      { numRuns: 30 },
    )
  })
})

test('what we encode is a WAL for SQLite: any two databases, the changed pages between them', () => {
  const directory = tempDirectory('wal')
  const words = fc.nat(0xffffffff)
  fc.assert(
    fc.property(history, fc.nat(8), words, words, words, (made, middle, salt1, salt2, checkpointSequence) => {
      // VACUUM and RESTART aside, the second history goes on where the first one ends.
      const before = write({ ...made, transactions: made.transactions.slice(0, middle) }, directory)
      const after = write(made, directory)
      const { pageSize } = made
      const pageCount = after.contents.length / pageSize
      const changed: number[] = []
      for (let page = 1; page <= pageCount; page++) {
        const [at, end] = [(page - 1) * pageSize, page * pageSize]
        if (!after.contents.subarray(at, end).equals(before.contents.subarray(at, end))) changed.push(page)
      }
      const checksum = new WalChecksum(false)
      const parts = [encodeWalHeader({ pageSize, checkpointSequence, salt1, salt2 }, checksum)]
      for (const page of changed) {
        const frame = Buffer.from(new ArrayBuffer(FRAME_HEADER_BYTES + pageSize))
        after.contents.copy(frame, FRAME_HEADER_BYTES, (page - 1) * pageSize, page * pageSize)
        const commitPageCount = page === changed.at(-1) ? pageCount : 0
        encodeFrame(frame, 0, { page, commitPageCount, salt1, salt2, pageSize }, checksum)
        parts.push(frame)
      }
      const wal = Buffer.concat(parts)
      expect(readNaively(wal)?.frames).toHaveLength(changed.length)
      const expected = changed.length === 0 ? before.contents : after.contents
      expect(differingPages(expected, recover(before.contents, wal, directory))).toEqual([])
    }),
    { numRuns: 40 },
  )
})

test('no bytes at all make the parsers throw, and none are believed without their checksum', () => {
  const header = fc.record({
    rest: fc.uint8Array({ maxLength: 200 }),
    magic: fc.constantFrom(0x377f0682, 0x377f0683, 1),
  })
  fc.assert(
    fc.property(header, ({ rest, magic }) => {
      const wal = Buffer.alloc(8 + rest.length)
      wal.writeUInt32BE(magic, 0)
      wal.writeUInt32BE(3007000, 4)
      wal.set(rest, 8)
      expect(parseWalHeader(wal) === undefined).toBe(readNaively(wal) === undefined)
      expect(parseWalIndex(Buffer.from(rest))).toBeUndefined()
    }),
  )
})
