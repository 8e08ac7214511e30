import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../src/logger.js'
import type { Provenance } from '../../../src/model/provenance.js'
import {
  type DigestBytes,
  DigestFile,
  decodeDigests,
  encodeDigests,
  misfit,
} from '../../../src/replicate/digest-file.js'
import { type Described, ReplicaDigests } from '../../../src/replicate/digests.js'
import { loadPageHash, PageDigests, UNKNOWN } from '../../../src/replicate/page-digests.js'
import { digestsOf } from '../../support/page-digests.js'
import { recordingLogger } from '../../support/recording-logger.js'
import { tempDirectory } from '../../support/temp.js'

const cursor = { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 }
const at: Described = { generation: '0123456789abcdef', key: 'generations/0123456789abcdef/x', source: { cursor } }
async function encoded(pages: PageDigests): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of encodeDigests(pages, at, names)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

function bytesOf(bytes: Buffer): DigestBytes {
  return { size: bytes.length, read: (into, position) => bytes.copy(into, 0, position) }
}

const names = { database: '/data/app.db', replica: 'primary' }

describe('digests of a replica', () => {
  const image = (value: number) => Buffer.alloc(512, value)
  const later: Described = { ...at, key: 'later' }
  async function* pages(count: number) {
    for (let i = 1; i <= count; i++) yield image(i)
  }
  async function afterSnapshot(count: number): Promise<ReplicaDigests> {
    const digests = new ReplicaDigests(silentLogger)
    for await (const _ of digests.ofSnapshot(pages(count), () => 512));
    digests.snapshotAcknowledged(at, count)
    return digests
  }

  test('nothing is known until the snapshot was acknowledged, and a segment counts once it was', async () => {
    const hash = await loadPageHash()
    const digests = new ReplicaDigests(silentLogger)
    for await (const _ of digests.ofSnapshot(pages(3), () => 512)) expect(digests.known).toBeUndefined()
    digests.snapshotAcknowledged(at, 3)
    expect(digestsOf(digests.known?.pages)).toEqual([1, 2, 3].map((value) => hash(image(value))))
    const staged = digests.stage(2)
    staged?.put(2, image(9))
    staged?.put(5, image(8))
    expect(digests.known?.pages.get(2)).toBe(hash(image(2)))
    expect(digests.known?.at).toBe(at)
    staged?.acknowledged(later, 5)
    const [, two, three, four, five] = digestsOf(digests.known?.pages)
    expect([two, three, four, five]).toEqual([hash(image(9)), hash(image(3)), UNKNOWN, hash(image(8))])
    expect(digests.known?.at).toBe(later)
  })

  test('an overlay that came before its snapshot counts with it', async () => {
    const hash = await loadPageHash()
    const digests = new ReplicaDigests(silentLogger)
    for await (const _ of digests.ofSnapshot(pages(3), () => 512));
    const staged = digests.stage(1)
    staged?.put(1, image(7))
    staged?.acknowledged(later, 2)
    expect(digests.known).toBeUndefined()
    digests.snapshotAcknowledged(later, 2)
    expect(digestsOf(digests.known?.pages)).toEqual([hash(image(7)), hash(image(2))])
  })

  test('a segment that was begun before everything was forgotten does not count', async () => {
    const digests = await afterSnapshot(3)
    const staged = digests.stage(1)
    staged?.put(1, image(7))
    digests.forget()
    staged?.acknowledged(later, 3)
    expect(digests.known).toBeUndefined()
    expect(digests.stage(1)).toBeUndefined()
  })
})

test('where they cannot be kept the pages pass all the same, and nothing is known', async () => {
  const { lines, log } = recordingLogger()
  const directory = join(tempDirectory('digests'), 'file')
  writeFileSync(directory, '')
  const digests = new ReplicaDigests(log, { directory, memoryPages: 100 })
  const image = (value: number) => Buffer.alloc(512, value)
  async function* pages(count: number) {
    for (let i = 0; i < count; i++) yield image(i)
  }
  let passed = 0
  for await (const piece of digests.ofSnapshot(pages(3000), () => 512)) if (piece.equals(image(passed))) passed++
  expect(passed).toBe(3000)
  digests.snapshotAcknowledged(at, 3000)
  expect(digests.known).toBeUndefined()
  const told = [{ level: 'warn', message: 'page digests are given up; lost continuity would begin a new generation' }]
  expect(lines).toMatchObject(told)
  // What fits memory is known, until a segment makes it more.
  for await (const _ of digests.ofSnapshot(pages(100), () => 512));
  digests.snapshotAcknowledged(at, 100)
  const staged = digests.stage(2)
  staged?.put(200, image(1))
  staged?.put(2000, image(1))
  expect(digests.known).toBeDefined()
  staged?.acknowledged({ ...at, key: 'later' }, 2000)
  expect(digests.known).toBeUndefined()
  expect(lines).toMatchObject([...told, ...told])
})

describe('digests that were kept', () => {
  test('any of them come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 50 }),
        fc.constantFrom(512, 4096, 65536),
        async (values, pageSize) => {
          const pages = new PageDigests(pageSize)
          for (const [i, value] of values.entries()) pages.set(i + 1, value)
          const decoded = await decodeDigests(bytesOf(await encoded(pages)), 'file')
          expect(decoded.at).toEqual(at)
          expect(decoded.pages.pageSize).toBe(pageSize)
          expect(digestsOf(decoded.pages)).toEqual(values)
        },
      ),
    )
  })

  test('a changed byte, a cut or something else is an error that names the file', async () => {
    const pages = new PageDigests(4096, 20)
    const bytes = await encoded(pages)
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] = (changed[i] as number) ^ 1
      await expect(decodeDigests(bytesOf(changed), 'the-file')).rejects.toThrow(/^the-file /)
      await expect(decodeDigests(bytesOf(bytes.subarray(0, i)), 'the-file')).rejects.toThrow(/^the-file /)
    }
  })

  test('in a directory that databases share, for this user only; nothing else is left there', async () => {
    const directory = join(tempDirectory('digests'), 'meta')
    const one = new DigestFile(directory, '/a/app.db', 's3')
    const other = new DigestFile(directory, '/b/app.db', 's3')
    const odd = new DigestFile(directory, '/b/app.db', '../../etc/passwd')
    expect(await one.read()).toBeUndefined()
    for (const [i, file] of [one, other, odd].entries()) {
      const pages = new PageDigests(512)
      pages.set(1, BigInt(i + 1))
      await file.keep({ pages, at })
    }
    expect((await one.read())?.pages.get(1)).toBe(1n)
    expect((await other.read())?.pages.get(1)).toBe(2n)
    expect((await odd.read())?.pages.get(1)).toBe(3n)
    expect(readdirSync(directory)).toHaveLength(3)
    for (const name of readdirSync(directory)) {
      expect(name).toMatch(/^app\.db-[\w.-]+-[0-9a-f]{16}\.digests$/)
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    }
  })

  test('more than memory takes: as they were, and no descriptor stays', async () => {
    const directory = tempDirectory('digests')
    const descriptors = () => readdirSync('/proc/self/fd').length
    const before = descriptors()
    const pages = new PageDigests(512, 0, { directory })
    for (let page = 1; page <= 140_000; page++) pages.set(page, BigInt(page * page))
    const file = new DigestFile(directory, '/a/app.db', 's3')
    await file.keep({ pages, at })
    const kept = await file.read()
    expect(kept?.pages.pageCount).toBe(140_000)
    for (let page = 1; page <= 140_000; page++) if (kept?.pages.get(page) !== BigInt(page * page)) expect(page).toBe(0)
    pages.release()
    kept?.pages.release()
    const [name = ''] = readdirSync(directory)
    const bytes = readFileSync(join(directory, name))
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9)
    writeFileSync(join(directory, name), bytes)
    await expect(file.read()).rejects.toThrow(/is damaged/)
    expect(descriptors()).toBe(before)
    expect(readdirSync(directory)).toHaveLength(1)
  })

  test('they count only for exactly the newest object', () => {
    const pages = new PageDigests(4096, 20)
    const newest: Provenance = {
      version: 1,
      program: 'test',
      writer: 'me',
      kind: 'segment',
      key: at.key,
      pageSize: 4096,
      pageCount: 20,
      observedAtMs: 0,
      source: { cursor: { ...cursor } },
    }
    expect(misfit({ pages, at }, at.generation, newest)).toBeUndefined()
    const others: Partial<Provenance>[] = [
      { key: 'newer' },
      { pageSize: 512 },
      { pageCount: 21 },
      { source: { cursor: { ...cursor, iChange: 7 } } },
      { source: { stamp: { ino: '1', size: 1, mtimeNs: '1', ctimeNs: '1' } } },
    ]
    for (const other of others) expect(misfit({ pages, at }, at.generation, { ...newest, ...other })).toBeDefined()
    expect(misfit({ pages, at }, 'ffffffffffffffff', newest)).toBeDefined()
  })
})
