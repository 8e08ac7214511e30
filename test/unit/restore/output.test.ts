// Where the result appears, with which owner and mode, what is refused, and that a failure leaves nothing.

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../src/logger.js'
import { databaseMode, OutputFile } from '../../../src/restore/output.js'
import { tempDirectory } from '../../support/temp.js'

async function write(path: string): Promise<void> {
  const output = await OutputFile.create(path)
  await output.file.write('content')
  await output.publish(silentLogger)
}

test('nothing is visible before it is published, and only the file afterwards', async () => {
  const directory = tempDirectory()
  const path = join(directory, 'db')
  const output = await OutputFile.create(path)
  await output.file.write('content')
  expect(existsSync(path)).toBe(false)
  expect(statSync(output.temporaryPath).mode & 0o777).toBe(0o600)
  await output.publish(silentLogger)
  expect(readdirSync(directory)).toEqual(['db'])
  expect(readFileSync(path, 'utf8')).toBe('content')
})

test.each(['', '-wal', '-shm', '-journal'])('an existing output%s is refused and stays', async (suffix) => {
  const directory = tempDirectory()
  const path = join(directory, 'db')
  writeFileSync(`${path}${suffix}`, 'old')
  const message =
    suffix === ''
      ? `cannot restore, output path already exists: ${path}`
      : `cannot restore, ${path}${suffix} was left behind`
  await expect(write(path)).rejects.toMatchObject({ code: 'EXISTS', message: expect.stringContaining(message) })
  expect(readdirSync(directory)).toEqual([`db${suffix}`])
  expect(readFileSync(`${path}${suffix}`, 'utf8')).toBe('old')
})

test('a dangling symbolic link counts as existing', async () => {
  const directory = tempDirectory()
  symlinkSync('/nowhere/at/all', join(directory, 'db'))
  await expect(write(join(directory, 'db'))).rejects.toMatchObject({ code: 'EXISTS' })
})

test('a database that appears while the restore runs is not overwritten', async () => {
  const directory = tempDirectory()
  const path = join(directory, 'db')
  const output = await OutputFile.create(path)
  writeFileSync(path, 'new')
  await expect(output.publish(silentLogger)).rejects.toMatchObject({ code: 'EXISTS' })
  await output.discard()
  expect(readdirSync(directory)).toEqual(['db'])
  expect(readFileSync(path, 'utf8')).toBe('new')
})

test('missing directories are made, and removed again when the restore fails', async () => {
  const directory = tempDirectory()
  const output = await OutputFile.create(join(directory, 'a', 'b', 'db'))
  expect(statSync(join(directory, 'a', 'b')).mode & 0o777).toBe(0o700)
  await output.discard()
  expect(readdirSync(directory)).toEqual([])
  await write(join(directory, 'a', 'b', 'db'))
  expect(readdirSync(join(directory, 'a', 'b'))).toEqual(['db'])
})

test('an output directory that is a file', async () => {
  const directory = tempDirectory()
  writeFileSync(join(directory, 'file'), '')
  await expect(write(join(directory, 'file', 'db'))).rejects.toMatchObject({
    code: 'LOCAL',
    message: expect.stringMatching(/^cannot restore into .*file: ENOTDIR.*; choose another output path/),
  })
})

test('a directory in which nobody can make files', async () => {
  await expect(write('/proc/self/db')).rejects.toMatchObject({
    code: 'LOCAL',
    message: expect.stringMatching(/^cannot restore into \/proc\/self: /),
  })
})

test.each([
  [0o755, 0o644],
  [0o700, 0o600],
  [0o750, 0o640],
  [0o770, 0o660],
  [0o2775, 0o664],
  [0o777, 0o664],
])('a directory with mode %o gives a database with mode %o', async (directoryMode, mode) => {
  expect(databaseMode(directoryMode)).toBe(mode)
  const directory = tempDirectory()
  chmodSync(directory, directoryMode)
  await write(join(directory, 'db'))
  expect(statSync(join(directory, 'db')).mode & 0o777).toBe(mode)
})

test('a directory that everyone shares says nothing about owner and mode', async () => {
  const directory = tempDirectory()
  chmodSync(directory, 0o1777)
  await write(join(directory, 'db'))
  expect(statSync(join(directory, 'db')).mode & 0o777).toBe(0o600)
})

test('root gives the database to the owner of its directory, anyone else keeps their own', async () => {
  const directory = tempDirectory()
  const data = join(directory, 'data')
  mkdirSync(data, { mode: 0o755 })
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(data, 1000, 1001)
  const owner = isRoot ? { uid: 1000, gid: 1001 } : { uid: process.getuid?.() }
  await write(join(data, 'db'))
  await write(join(data, 'made', 'db'))
  for (const path of ['db', 'made', 'made/db']) expect(statSync(join(data, path)), path).toMatchObject(owner)
})
