// Putting a restored database in the place of an old one: nothing is lost, somebody who has it open is noticed, and a crash after
// any step leaves either the old database or the new one, as SQLite itself reads it.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/logger.js'
import { OutputFile, type OutputOptions } from '../../../src/restore/output.js'
import { replacementNames, replacementSteps, tidyInterrupted } from '../../../src/restore/replace.js'
import { findUsers, lockHolders } from '../../../src/source/users.js'
import { Application } from '../../support/application.js'
import { tempDirectory } from '../../support/temp.js'

const AT_MS = Date.UTC(2026, 0, 15, 10, 30, 0)
const ASIDE = 'app.db.replaced-20260115T103000Z'

/** A database whose last transaction is in the WAL only, as a killed application leaves it. */
function leaveDatabase(directory: string, value: string): string {
  const live = join(directory, 'live')
  mkdirSync(live)
  const path = join(directory, 'app.db')
  const database = new Database(join(live, 'app.db'))
  database.exec('pragma journal_mode = wal; pragma wal_autocheckpoint = 0; create table t (x)')
  database.exec("insert into t values ('checkpointed'); pragma wal_checkpoint(truncate)")
  database.exec(`insert into t values ('${value}')`)
  for (const suffix of ['', '-wal', '-shm']) copyFileSync(join(live, `app.db${suffix}`), `${path}${suffix}`)
  database.close()
  return path
}

function makeNew(path: string): void {
  const database = new Database(path)
  database.exec("create table t (x); insert into t values ('new'); pragma journal_mode = wal")
  database.close()
}

/** What an application would find there, opening it as applications do. */
function contentOf(path: string): string {
  const database = new Database(path, { fileMustExist: true })
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
  const rows = database.prepare('select x from t').pluck().all()
  database.close()
  return rows.join()
}

async function replace(path: string, content: Buffer, options: OutputOptions = {}): Promise<OutputFile> {
  const output = await OutputFile.create(path, { replaceAtMs: AT_MS, ...options })
  await output.file.write(content)
  await output.publish(silentLogger)
  return output
}

describe('a crash', () => {
  const OLD = 'checkpointed,old'

  test.each([true, false])(
    'after any step leaves the old or the new database (old with a WAL: %s)',
    async (withWal) => {
      const outcomes: string[] = []
      for (let steps = 0; ; steps++) {
        const directory = tempDirectory()
        const path = leaveDatabase(directory, 'old')
        if (!withWal) expect(contentOf(path)).toBe(OLD) // SQLite's last close removes the WAL
        makeNew(join(directory, 'app.db.tmp-1'))
        const all = await replacementSteps(join(directory, 'app.db.tmp-1'), await replacementNames(path, AT_MS))
        for (const { run } of all.slice(0, steps)) await run()
        const found = contentOf(path)
        expect([OLD, 'new'], `after ${steps} steps`).toContain(found)
        outcomes.push(found)
        if (found === 'new' && !existsSync(`${path}-wal`)) {
          expect(contentOf(join(directory, ASIDE))).toContain('checkpointed')
        }
        // The next -replace tidies up: one file with one name, nothing half-way left, nothing lost.
        await tidyInterrupted(path)
        expect(contentOf(path)).toBe(found)
        expect(lstatSync(path).isFile() && statSync(path).nlink === 1).toBe(true)
        expect(readdirSync(directory).filter((name) => name.includes('.restored-'))).toEqual([])
        if (found === 'new') expect(contentOf(join(directory, ASIDE))).toBe(OLD)
        if (steps === all.length) break
      }
      expect(outcomes[0]).toBe(OLD)
      expect(outcomes.at(-1)).toBe('new')
      expect(outcomes).toEqual(outcomes.toSorted((a, b) => Number(a === 'new') - Number(b === 'new')))
    },
  )
})

describe('what is moved aside', () => {
  test('opens as the old database, complete; a second one gets a name of its own', async () => {
    const directory = tempDirectory()
    const path = leaveDatabase(directory, 'old')
    makeNew(join(directory, 'source'))
    const bytes = readFileSync(join(directory, 'source'))
    const output = await replace(path, bytes)
    expect(output.replacedAs).toBe(join(directory, ASIDE))
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(readdirSync(directory).sort()).toEqual(['app.db', ASIDE, `${ASIDE}-shm`, `${ASIDE}-wal`, 'live', 'source'])
    expect(contentOf(join(directory, ASIDE))).toBe('checkpointed,old')
    await replace(path, bytes)
    expect(readdirSync(directory)).toContain(`${ASIDE}-2`)
    expect(contentOf(path)).toBe('new')
  })

  test('a symbolic link stays one: the file that it leads to is replaced', async () => {
    const directory = tempDirectory()
    mkdirSync(join(directory, 'data'))
    writeFileSync(join(directory, 'data', 'real.db'), 'old')
    symlinkSync('data/real.db', join(directory, 'app.db'))
    await replace(join(directory, 'app.db'), Buffer.from('new'))
    expect(lstatSync(join(directory, 'app.db')).isSymbolicLink()).toBe(true)
    expect(readFileSync(join(directory, 'data', 'real.db'), 'utf8')).toBe('new')
    expect(readdirSync(join(directory, 'data')).sort()).toEqual(['real.db', 'real.db.replaced-20260115T103000Z'])
  })

  test('a WAL without a database, and nothing at all', async () => {
    const directory = tempDirectory()
    const path = join(directory, 'app.db')
    expect((await replace(path, Buffer.from('one'))).replacedAs).toBeUndefined()
    const other = join(directory, 'other.db')
    writeFileSync(`${other}-wal`, 'foreign')
    await replace(other, Buffer.from('two'))
    expect(readFileSync(join(directory, 'other.db.replaced-20260115T103000Z-wal'), 'utf8')).toBe('foreign')
    expect(existsSync(`${other}-wal`)).toBe(false)
  })

  test.each(['directory', 'dangling link'])('a %s is refused', async (kind) => {
    const path = join(tempDirectory(), 'app.db')
    if (kind === 'directory') mkdirSync(path)
    else symlinkSync('/nowhere/at/all', path)
    await expect(replace(path, Buffer.from('new'))).rejects.toMatchObject({ code: 'EXISTS' })
    expect(lstatSync(path).isFile()).toBe(false)
  })

  test('owner and mode are those of the file that is replaced, or the ones that were told', async () => {
    const directory = tempDirectory()
    const path = join(directory, 'app.db')
    writeFileSync(path, 'old')
    chmodSync(path, 0o640)
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(path, 1000, 1001)
    await replace(path, Buffer.from('new'))
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect(statSync(path)).toMatchObject(isRoot ? { uid: 1000, gid: 1001 } : { uid: process.getuid?.() })
    if (!isRoot) return
    await replace(path, Buffer.from('newer'), { owner: { uid: 2000, gid: 2001 } })
    expect(statSync(path)).toMatchObject({ uid: 2000, gid: 2001 })
    // An empty volume: SQLite has to make files in the directory too.
    const volume = join(directory, 'volume')
    mkdirSync(volume)
    await replace(join(volume, 'db'), Buffer.from('new'), { owner: { uid: 1000, gid: 1000 } })
    for (const place of [volume, join(volume, 'db')]) expect(statSync(place)).toMatchObject({ uid: 1000, gid: 1000 })
    expect(statSync(directory)).toMatchObject({ uid: 0 })
  })
})

describe('somebody who has it open', () => {
  const untouched = (directory: string, path: string) => ({
    names: readdirSync(directory).sort(),
    bytes: readFileSync(path).toString('base64'),
    mtimeNs: statSync(path, { bigint: true }).mtimeNs,
    nlink: statSync(path).nlink,
  })

  test('is named by process, and nothing is touched', async () => {
    const directory = tempDirectory()
    const path = join(directory, 'app.db')
    const application = new Application(path)
    await application.open(['journal_mode = wal'])
    await application.exec('create table t (x)')
    try {
      const before = untouched(directory, path)
      const pid = findUsers(path, process.pid)[0]?.pid
      await expect(replace(path, Buffer.from('new'))).rejects.toMatchObject({
        code: 'EXISTS',
        message: expect.stringMatching(
          new RegExp(`^cannot replace ${path}: it is open in process ${pid} \\(.+\\); stop`),
        ),
      })
      expect(untouched(directory, path)).toEqual(before)
    } finally {
      await application.kill()
    }
    await replace(path, Buffer.from('new'))
  })

  test('is noticed by its locks where it cannot be seen, as in another container', async () => {
    const directory = tempDirectory()
    const path = join(directory, 'app.db')
    const database = new Database(path) // our own process: /proc is not asked about it
    database.exec('pragma journal_mode = wal; create table t (x)')
    const before = untouched(directory, path)
    await expect(replace(path, Buffer.from('new'))).rejects.toThrow(
      /a process that cannot be seen from here, in another container perhaps, has it open; stop the application, and litestream/,
    )
    expect(untouched(directory, path)).toEqual(before)
    database.close()
    await replace(path, Buffer.from('new'))
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  test('that came while the restore ran keeps the old database', async () => {
    const directory = tempDirectory()
    const path = join(directory, 'app.db')
    makeNew(path)
    const output = await OutputFile.create(path, { replaceAtMs: AT_MS })
    const database = new Database(path)
    database.exec('insert into t values (1)')
    await expect(output.publish(silentLogger)).rejects.toMatchObject({ code: 'EXISTS' })
    await output.discard()
    database.close()
    expect(readdirSync(directory)).toEqual(['app.db'])
    expect(contentOf(path)).toBe('new,1')
  })

  test('lines of /proc/locks: whose lock on which file', () => {
    const locks = `1: POSIX  ADVISORY  READ 4711 fd:01:123 128 128
2: POSIX  ADVISORY  WRITE 4712 fd:02:123 0 EOF
2: -> POSIX  ADVISORY  WRITE 4713 fd:01:123 0 EOF
3: OFDLCK ADVISORY  READ -1 fd:01:123 0 EOF
4: FLOCK  ADVISORY  WRITE 4714 fd:01:1234 0 EOF`
    expect(lockHolders(locks, new Set(['253:1:123']))).toEqual([4711, 4713])
  })
})
