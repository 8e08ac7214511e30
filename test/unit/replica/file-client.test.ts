import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { FileClient } from '../../../src/replica/file-client.js'
import { openReplica } from '../../../src/replica/open.js'
import { bodyOf, keysBelow, text } from '../../contract/bodies.js'
import { tempDirectory } from '../../support/temp.js'

const TEMPORARY = 'object.tmp-0123456789abcdef'

function write(path: string): string {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'x')
  return path
}

test('directories get mode 0700 and files 0600, or what was asked for', async () => {
  const root = join(tempDirectory(), 'made')
  await new FileClient({ path: root }).put('a/b', bodyOf('x'))
  expect([root, join(root, 'a'), join(root, 'a/b')].map((path) => statSync(path).mode & 0o777)).toEqual([
    0o700, 0o700, 0o600,
  ])
  const shared = new FileClient({ path: root, directoryMode: 0o750, fileMode: 0o640 })
  await shared.put('c/d', bodyOf('x'))
  expect([join(root, 'c'), join(root, 'c/d')].map((path) => statSync(path).mode & 0o777)).toEqual([0o750, 0o640])
})

test('an object is a file at its key, with no temporary file left', async () => {
  const root = tempDirectory()
  const client = await openReplica({ type: 'file', path: root })
  await client.put('generations/g/object', bodyOf('text'))
  expect(readdirSync(join(root, 'generations/g'))).toEqual(['object'])
})

test('temporary files of a crashed run are not listed, and swept when old', async () => {
  const root = tempDirectory()
  const old = write(join(root, 'd', TEMPORARY))
  const young = write(join(root, 'd', 'other.tmp-fedcba9876543210'))
  const foreign = write(join(root, 'd', 'foreign.tmp'))
  for (const path of [old, foreign]) utimesSync(path, 1e9, 1e9)
  const client = new FileClient({ path: root })
  expect(await keysBelow(client, '')).toEqual(['d/foreign.tmp'])
  await client.put('d/object', bodyOf('x'))
  expect([old, young, foreign].map(existsSync)).toEqual([false, true, true])
  await expect(client.put(`d/${TEMPORARY}`, bodyOf('x'))).rejects.toThrow('kept for temporary files')
})

test('deletion removes directories that become empty, but not the root', async () => {
  const root = tempDirectory()
  const client = new FileClient({ path: root })
  await client.put('g/1/wal/a', bodyOf('x'))
  await client.put('g/2/wal/a', bodyOf('x'))
  await client.delete(['g/1/wal/a'])
  expect(readdirSync(join(root, 'g'))).toEqual(['2'])
  await client.delete(['g/2/wal/a'])
  expect(readdirSync(root)).toEqual([])
})

test('empty directories are no names, and links count as what they lead to', async () => {
  const root = tempDirectory()
  mkdirSync(join(root, 'g/empty/deeper'), { recursive: true })
  write(join(root, 'elsewhere/object'))
  symlinkSync(join(root, 'elsewhere'), join(root, 'g/linked'))
  symlinkSync(join(root, 'nowhere'), join(root, 'g/dangling'))
  const client = new FileClient({ path: root })
  expect(await client.listNames('g/')).toEqual(['linked'])
  expect(await keysBelow(client, 'g/')).toEqual(['g/linked/object'])
  expect(await text(client, 'g/linked/object')).toBe('x')
})

test('a file where a directory is needed is an error that says so', async () => {
  const root = tempDirectory()
  write(join(root, 'generations'))
  const client = new FileClient({ path: root })
  await expect(client.put('generations/g/object', bodyOf('x'))).rejects.toMatchObject({
    code: 'LOCAL',
    message: expect.stringMatching(/^put file:\/\/.*generations\/g\/object: a file is where a directory is needed/),
  })
})

test('a root that is not there is an empty replica; one in whose place or way a file lies is trouble, not an empty one', async () => {
  const directory = tempDirectory()
  const file = write(join(directory, 'file'))
  const nobody = new FileClient({ path: join(directory, 'none', 'deeper') })
  expect([await keysBelow(nobody, ''), await nobody.listNames('')]).toEqual([[], []])
  await expect(nobody.get('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  for (const path of [file, join(file, 'replica')]) {
    const client = new FileClient({ path })
    const calls = [
      () => keysBelow(client, ''),
      () => client.listNames(''),
      () => client.get('a/b'),
      () => client.delete(['a']),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: 'LOCAL',
        kind: 'person',
        message: expect.stringContaining('a file is where a directory is needed'),
      })
    }
  }
})
