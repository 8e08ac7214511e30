// A directory's times tell of every name that changes, and of nothing else; where they cannot be trusted nothing is told.

import { appendFileSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { namesIn } from '../../../src/source/directories.js'
import { tempDirectory } from '../../support/temp.js'

/** Longer than a look is shared, and than any kernel's tick. */
const APART_MS = 30

test.for<[string, (path: string) => void]>([
  ['made', (path) => writeFileSync(`${path}-wal`, '')],
  ['removed', (path) => rmSync(path)],
  ['given to another file', (path) => renameSync(`${path}.other`, path)],
  ['taken elsewhere', (path) => renameSync(path, join(path, '..', 'elsewhere', 'app.db'))],
  ['linked', (path) => linkSync(path, `${path}.link`)],
])('a name was %s', async ([, change]) => {
  const directory = tempDirectory()
  const path = join(directory, 'app.db')
  mkdirSync(join(directory, 'elsewhere'))
  for (const name of [path, `${path}.other`]) writeFileSync(name, 'x')
  await sleep(APART_MS)
  const before = namesIn(directory, 'ext4')
  expect(before?.newestMs).toBeLessThanOrEqual(Date.now())
  appendFileSync(path, 'more of the same file')
  await sleep(APART_MS)
  expect(namesIn(directory, 'ext4')).toEqual(before)
  change(path)
  await sleep(APART_MS)
  expect(namesIn(directory, 'ext4')?.key).not.toBe(before?.key)
})

test('another directory in its place', async () => {
  const directory = join(tempDirectory(), 'volume')
  mkdirSync(directory)
  const before = namesIn(directory, 'xfs')
  renameSync(directory, `${directory}.old`)
  mkdirSync(directory)
  await sleep(APART_MS)
  expect(namesIn(directory, 'xfs')?.key).not.toBe(before?.key)
})

test('nothing is told of a directory that cannot be seen, nor where its times say nothing', () => {
  expect(namesIn(join(tempDirectory(), 'none'), 'ext4')).toBeUndefined()
  for (const type of [undefined, 'virtiofs', 'fuse.grpcfuse', '9p', 'fakeowner'])
    expect(namesIn(tempDirectory(), type)).toBeUndefined()
})
