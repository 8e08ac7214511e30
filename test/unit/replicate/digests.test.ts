import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Provenance } from '../../../src/model/provenance.js'
import { DigestFile, decodeDigests, encodeDigests, misfit } from '../../../src/replicate/digest-file.js'
import { type Described, loadPageHash, PageDigests, ReplicaDigests, UNKNOWN } from '../../../src/replicate/digests.js'
import { tempDirectory } from '../../support/temp.js'

const cursor = { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 }
const at: Described = { generation: '0123456789abcdef', key: 'generations/0123456789abcdef/x', source: { cursor } }
const names = { database: '/data/app.db', replica: 'primary' }

describe('digests of a state', () => {
  test('any history of growing, shrinking and setting: a page is known only since it was set within the size', () => {
    const step = fc.oneof(
      fc.record({ size: fc.nat(300) }),
      fc.record({ page: fc.integer({ min: 1, max: 300 }), digest: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const digests = new PageDigests(4096)
        const model = new Map<number, bigint>()
        let size = 0
        for (const one of steps) {
          if ('size' in one) {
            size = one.size
            digests.resize(size)
            for (const page of model.keys()) if (page > size) model.delete(page)
          } else {
            size = Math.max(size, one.page)
            digests.set(one.page, one.digest)
            model.set(one.page, one.digest)
          }
        }
        expect(digests.pageCount).toBe(size)
        expect(digests.values()).toHaveLength(size)
        for (let page = 1; page <= 301; page++) expect(digests.get(page)).toBe(model.get(page) ?? UNKNOWN)
      }),
    )
  })

  test('eight bytes a page: growing page by page takes a quarter more at most, and shrinking gives memory back', () => {
    const digests = new PageDigests(4096)
    for (let page = 1; page <= 100_000; page++) digests.set(page, 1n)
    expect(digests.bytes).toBeLessThanOrEqual(100_000 * 8 * 1.25)
    digests.resize(100)
    expect(digests.bytes).toBe(800)
    expect(new PageDigests(4096, 100_000).bytes).toBe(800_000)
  })

  test('no page has the digest that stands for an unknown one, and one changed bit gives another digest', async () => {
    const hash = await loadPageHash()
    const page = Buffer.alloc(4096)
    const zeros = hash(page)
    expect(zeros).not.toBe(UNKNOWN)
    const seen = new Set([zeros])
    for (let bit = 0; bit < 4096 * 8; bit += 37) {
      page[bit >> 3] = 1 << (bit & 7)
      seen.add(hash(page))
      page[bit >> 3] = 0
    }
    expect(seen.size).toBe(1 + Math.ceil((4096 * 8) / 37))
  })
})

describe('digests of a replica', () => {
  const image = (value: number) => Buffer.alloc(512, value)
  const later: Described = { ...at, key: 'later' }
  async function* pages(count: number) {
    for (let i = 1; i <= count; i++) yield image(i)
  }
  async function afterSnapshot(count: number): Promise<ReplicaDigests> {
    const digests = new ReplicaDigests()
    for await (const _ of digests.ofSnapshot(pages(count), () => 512));
    digests.snapshotAcknowledged(at, count)
    return digests
  }

  test('nothing is known until the snapshot was acknowledged, and a segment counts once it was', async () => {
    const hash = await loadPageHash()
    const digests = new ReplicaDigests()
    for await (const _ of digests.ofSnapshot(pages(3), () => 512)) expect(digests.known).toBeUndefined()
    digests.snapshotAcknowledged(at, 3)
    expect([...(digests.known?.pages.values() ?? [])]).toEqual([1, 2, 3].map((value) => hash(image(value))))
    const staged = digests.stage(2)
    staged?.put(2, image(9))
    staged?.put(5, image(8))
    expect(digests.known?.pages.get(2)).toBe(hash(image(2)))
    expect(digests.known?.at).toBe(at)
    staged?.acknowledged(later, 5)
    const [, two, three, four, five] = digests.known?.pages.values() ?? []
    expect([two, three, four, five]).toEqual([hash(image(9)), hash(image(3)), UNKNOWN, hash(image(8))])
    expect(digests.known?.at).toBe(later)
  })

  test('an overlay that came before its snapshot counts with it', async () => {
    const hash = await loadPageHash()
    const digests = new ReplicaDigests()
    for await (const _ of digests.ofSnapshot(pages(3), () => 512));
    const staged = digests.stage(1)
    staged?.put(1, image(7))
    staged?.acknowledged(later, 2)
    expect(digests.known).toBeUndefined()
    digests.snapshotAcknowledged(later, 2)
    expect([...(digests.known?.pages.values() ?? [])]).toEqual([hash(image(7)), hash(image(2))])
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

describe('digests that were kept', () => {
  test('any of them come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 50 }),
        fc.constantFrom(512, 4096, 65536),
        async (values, pageSize) => {
          const pages = new PageDigests(pageSize)
          for (const [i, value] of values.entries()) pages.set(i + 1, value)
          const decoded = await decodeDigests(await encodeDigests(pages, at, names), 'file')
          expect(decoded.at).toEqual(at)
          expect(decoded.pages.pageSize).toBe(pageSize)
          expect([...decoded.pages.values()]).toEqual(values)
        },
      ),
    )
  })

  test('a changed byte, a cut or something else is an error that names the file', async () => {
    const pages = new PageDigests(4096, 20)
    const bytes = await encodeDigests(pages, at, names)
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] = (changed[i] as number) ^ 1
      await expect(decodeDigests(changed, 'the-file')).rejects.toThrow(/^the-file /)
      await expect(decodeDigests(bytes.subarray(0, i), 'the-file')).rejects.toThrow(/^the-file /)
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
