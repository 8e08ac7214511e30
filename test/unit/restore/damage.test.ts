// Every object of a small replica is removed, cut, changed, swapped and copied over another: the restore ends with an error that
// names an object, or the result is what it should be. Never a wrong database, never a leftover.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { isLitestreamError } from '../../../src/errors.js'
import { silentLogger } from '../../../src/logger.js'
import type { ObjectInfo } from '../../../src/replica/client.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { restoreDatabase } from '../../../src/restore/restore.js'
import { collect } from '../../support/codec.js'
import { DatabaseModel, makePage, once, SyntheticReplica, type Transaction } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'

const GENERATION = '0123456789abcdef'
const PAGE_SIZE = 512

interface Sample {
  /** In the order in which they were written, one millisecond apart. */
  readonly objects: ReadonlyMap<string, Buffer>
  /** Keys that a restore of the newest state reads, in order. */
  readonly used: readonly string[]
  readonly expected: Buffer
  readonly beforeLast: Buffer
}

function change(version: number, pageCount: number, pages: readonly number[]): Transaction {
  return { pages: new Map(pages.map((page) => [page, makePage(page, version, PAGE_SIZE)])), pageCount }
}

/** Snapshots at indexes 0 and 2; indexes 0, 1 and 2 with several segments each; 1 is closed by an empty one where ours. */
async function makeSample(ours: boolean): Promise<Sample> {
  const client = tickingClient()
  const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize: PAGE_SIZE, ours })
  const model = new DatabaseModel(PAGE_SIZE)
  let version = 0
  let atMs = 1000
  const used: string[] = []
  const write = async (pageCount: number, pages: readonly number[]): Promise<void> => {
    const transaction = change(++version, pageCount, pages)
    model.apply(transaction)
    used.push((await replica.segment([transaction], ++atMs)).key)
  }
  model.apply(change(++version, 4, [1, 2, 3, 4]))
  await replica.snapshot(model.bytes(), ++atMs)
  await write(5, [2, 5])
  await write(5, [1, 3])
  replica.nextIndex()
  await write(6, [4, 6])
  await write(5, [1, 5])
  if (ours) await replica.segment([], atMs)
  replica.nextIndex()
  used.length = 0
  const base = model.bytes()
  makePage(3, 99, PAGE_SIZE).copy(base, 2 * PAGE_SIZE) // a page of a later state: the overlay makes it exact
  const overlay = change(++version, 5, [1, 3])
  model.apply(overlay)
  const { key, bytes } = await replica.segment([overlay], ++atMs)
  used.push(await replica.snapshot(base, atMs, bytes), key)
  await write(6, [2, 6])
  replica.nextIndex()
  await write(6, [1, 4])
  await write(6, [2, 3])
  const beforeLast = model.bytes()
  await write(7, [1, 7])
  const objects = new Map<string, Buffer>()
  const listed: ObjectInfo[] = []
  for await (const object of client.list('generations/')) listed.push(object)
  listed.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs)
  for (const { key } of listed) objects.set(key, await collect(await client.get(key)))
  return { objects, used, expected: model.bytes(), beforeLast }
}

/** The storage's time is one millisecond later with every object. */
function tickingClient(): MemoryClient {
  let nowMs = 1000
  return new MemoryClient({ clock: { now: () => nowMs++, monotonic: () => 0 } })
}

async function restoreFrom(objects: ReadonlyMap<string, Buffer>): Promise<Buffer | Error> {
  const client = tickingClient()
  for (const [key, bytes] of objects) await client.put(key, once(bytes))
  const directory = tempDirectory()
  const outputPath = join(directory, 'db')
  try {
    await restoreDatabase({
      replicas: [{ name: 'memory', client }],
      outputPath,
      target: { kind: 'latest' },
      integrityCheck: 'none',
      parallelism: 3,
      logger: silentLogger,
      monotonic: () => 0,
    })
  } catch (error) {
    expect(readdirSync(directory), 'leftovers').toEqual([])
    expect(isLitestreamError(error), String((error as Error).stack)).toBe(true)
    return error as Error
  }
  expect(readdirSync(directory)).toEqual(['db'])
  return readFileSync(outputPath)
}

describe.each([{ ours: true }, { ours: false }])('a damaged replica (ours: $ours)', ({ ours }) => {
  let sample: Sample
  beforeAll(async () => {
    sample = await makeSample(ours)
  })

  /** The right content, or an error that names one of `keys`. */
  async function expectNoHarm(
    what: string,
    damaged: ReadonlyMap<string, Buffer>,
    keys: readonly string[],
  ): Promise<void> {
    const result = await restoreFrom(damaged)
    if (result instanceof Error) {
      expect(
        keys.some((key) => result.message.includes(key)),
        `${what}: ${result.message}`,
      ).toBe(true)
    } else {
      expect(result.equals(sample.expected), `${what}: wrong content`).toBe(true)
    }
  }

  test('undamaged', async () => {
    expect(await restoreFrom(sample.objects)).toEqual(sample.expected)
  })

  test('each object removed', async () => {
    for (const key of sample.used) {
      const objects = new Map(sample.objects)
      objects.delete(key)
      if (key === sample.used.at(-1)) {
        expect(await restoreFrom(objects), 'the newest one removed gives the state before').toEqual(sample.beforeLast)
        continue
      }
      // Without provenance nothing tells that an index had more segments, or that a snapshot had been there.
      const nextKey = sample.used[sample.used.indexOf(key) + 1] as string
      const lastOfIndex = nextKey.endsWith('_00000000.wal.lz4')
      if (!ours && lastOfIndex && !key.endsWith('_00000000.wal.lz4')) continue
      await expectNoHarm(`${key} removed`, objects, [key, nextKey])
    }
  })

  test('each object cut short', async () => {
    for (const key of sample.used) {
      const bytes = sample.objects.get(key) as Buffer
      for (const length of [
        0,
        3,
        7,
        11,
        bytes.length >> 2,
        bytes.length >> 1,
        bytes.length - 400,
        bytes.length - 20,
        bytes.length - 1,
      ]) {
        if (length < 0 || length >= bytes.length) continue
        await expectNoHarm(`${key} cut to ${length}`, new Map(sample.objects).set(key, bytes.subarray(0, length)), [
          key,
        ])
      }
    }
  })

  test('each object with a changed bit', async () => {
    for (const key of sample.used) {
      const original = sample.objects.get(key) as Buffer
      for (let at = 0; at < original.length; at += Math.max(1, Math.floor(original.length / 23))) {
        const bytes = Buffer.from(original)
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << (at % 8)), at)
        await expectNoHarm(`${key} changed at ${at}`, new Map(sample.objects).set(key, bytes), [key])
      }
    }
  })

  test('each two objects swapped, or one a copy of the other', async () => {
    const all = [...sample.objects.keys()]
    for (const a of sample.used) {
      for (const b of all) {
        if (a === b) continue
        // Snapshots of another program do not say which they are; only the integrity check can tell.
        if (!ours && a.includes('/snapshots/') && b.includes('/snapshots/')) continue
        // There an object's damage can show in the one that follows it.
        const keys = ours ? [a, b] : sample.used
        const [bytesA, bytesB] = [sample.objects.get(a) as Buffer, sample.objects.get(b) as Buffer]
        await expectNoHarm(`${a} is a copy of ${b}`, new Map(sample.objects).set(a, bytesB), keys)
        await expectNoHarm(`${a} and ${b} swapped`, new Map(sample.objects).set(a, bytesB).set(b, bytesA), keys)
      }
    }
  })
})
