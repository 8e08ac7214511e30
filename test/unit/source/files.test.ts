// The owner of a database's descriptors: what it refuses, and with which words.

import { linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { DatabaseFiles } from '../../../src/source/files.js'
import { tempDirectory } from '../../support/temp.js'

const makePath = (content = 'x') => {
  const path = join(tempDirectory(), 'app.db')
  writeFileSync(path, content)
  return path
}

function open(path: string): DatabaseFiles {
  const files = DatabaseFiles.open(path)
  if (!(files instanceof DatabaseFiles)) throw new Error(files.reason)
  onTestFinished(() => files.close())
  return files
}

test('what is missing is told apart from what is refused', () => {
  const path = makePath()
  const directory = dirname(path)
  expect(DatabaseFiles.open(join(directory, 'none.db'))).toMatchObject({ missing: true })
  expect(DatabaseFiles.open(join(directory, 'none', 'none.db'))).toMatchObject({ missing: true })
  expect(DatabaseFiles.open(directory)).toEqual({ missing: false, reason: expect.stringContaining('regular file') })
  linkSync(path, join(directory, 'link.db'))
  expect(DatabaseFiles.open(path)).toEqual({ missing: false, reason: expect.stringContaining('2 hard links') })
})

test('a symbolic link leads to the file, as it does for SQLite', () => {
  const path = makePath()
  const link = join(dirname(path), 'link.db')
  symlinkSync(path, link)
  expect(open(link).walPath).toBe(`${path}-wal`)
})

test('a file is held once, whatever names lead to it, until it is given back', async () => {
  const path = makePath()
  const link = join(dirname(path), 'link.db')
  symlinkSync(path, link)
  const files = open(path)
  expect(DatabaseFiles.open(link)).toEqual({ missing: false, reason: expect.stringContaining('the same file') })
  expect(DatabaseFiles.open(path)).toMatchObject({ missing: false })
  await files.close()
  await files.close()
  expect(DatabaseFiles.open(link)).toBeInstanceOf(DatabaseFiles)
  await open(makePath()).close()
})

test('the header says what a file is, its size what it is not', () => {
  expect(open(makePath('')).header()).toEqual({ header: undefined, size: 0 })
  expect(open(makePath('text')).header()).toEqual({ header: undefined, size: 4 })
})

test('companions are seen without being opened', () => {
  const path = makePath()
  const files = open(path)
  expect(files.companions()).toEqual({ wal: false, walBytes: false, shm: false, journal: false })
  expect(files.openLive()).toBe(false)
  for (const suffix of ['-wal', '-shm', '-journal']) writeFileSync(path + suffix, '')
  expect(files.companions()).toEqual({ wal: true, walBytes: false, shm: true, journal: false })
  for (const suffix of ['-wal', '-journal']) writeFileSync(path + suffix, 'x')
  expect(files.companions()).toEqual({ wal: true, walBytes: true, shm: true, journal: true })
})

test('what was replaced or removed is named', () => {
  const path = makePath()
  writeFileSync(`${path}-wal`, '')
  writeFileSync(`${path}-shm`, '')
  const files = open(path)
  expect(files.openLive()).toBe(true)
  expect(files.replaced()).toBeUndefined()
  rmSync(`${path}-shm`)
  expect(files.replaced()).toBe(`${path}-shm`)
  const other = join(dirname(path), 'other')
  writeFileSync(other, '')
  renameSync(other, `${path}-wal`)
  expect(files.replaced()).toBe(`${path}-wal`)
  rmSync(path)
  expect(files.replaced()).toBe(path)
  mkdirSync(path)
  expect(files.replaced()).toBe(path)
})

test('reads that are under way when it is closed end well', async () => {
  const files = open(makePath('0123456789'))
  const into = Buffer.alloc(20)
  const reading = files.readDatabase(into, 20, 2)
  await files.close()
  await expect(reading).rejects.toMatchObject({ code: 'SOURCE' })
  await expect(files.readDatabase(into, 1, 0)).rejects.toMatchObject({ code: 'SOURCE' })
  expect(into.toString('latin1', 0, 8)).toBe('23456789')
})
