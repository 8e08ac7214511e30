// What a restore does around its file: which replica serves, what it tells, torn snapshots of the real Litestream, and stopping.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import type { Attributes, Logger } from '../../../src/logger.js'
import { segmentKey } from '../../../src/model/layout.js'
import type { ReplicaClient } from '../../../src/replica/client.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { type RestoreOptions, restoreDatabase } from '../../../src/restore/restore.js'
import { collect } from '../../support/codec.js'
import { DatabaseModel, makePage, once, SyntheticReplica } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'

const GENERATION = '0123456789abcdef'
const PAGE_SIZE = 512

class Lines implements Logger {
  readonly all: string[] = []
  readonly #add = (message: string, attributes: Attributes = {}): void => {
    this.all.push(
      `${message} ${JSON.stringify(attributes, (_, value) => (value instanceof Error ? value.message : value))}`,
    )
  }
  debug = this.#add
  info = this.#add
  warn = this.#add
  error = this.#add
  child(): Logger {
    return this
  }
}

function clockedClient(clock: { nowMs: number }): MemoryClient {
  return new MemoryClient({ clock: { now: () => clock.nowMs, monotonic: () => 0 } })
}

async function simpleReplica(observedAtMs: number): Promise<{ client: MemoryClient; bytes: Buffer }> {
  const client = new MemoryClient()
  const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize: PAGE_SIZE, ours: true })
  const model = new DatabaseModel(PAGE_SIZE)
  model.apply({ pages: new Map([[1, makePage(1, 1, PAGE_SIZE)]]), pageCount: 1 })
  await replica.snapshot(model.bytes(), observedAtMs - 1)
  const transaction = { pages: new Map([[2, makePage(2, observedAtMs, PAGE_SIZE)]]), pageCount: 2 }
  model.apply(transaction)
  await replica.segment([transaction], observedAtMs)
  return { client, bytes: model.bytes() }
}

function options(outputPath: string, more: Partial<RestoreOptions>): RestoreOptions {
  return {
    replicas: [],
    outputPath,
    target: { kind: 'latest' },
    integrityCheck: 'none',
    parallelism: 4,
    logger: new Lines(),
    monotonic: () => 0,
    ...more,
  }
}

/** A client of which one operation does not work. */
function broken(client: MemoryClient, part: Partial<ReplicaClient>): ReplicaClient {
  return new Proxy<ReplicaClient>(client, {
    get(target, name) {
      const own = Reflect.get(part, name) ?? Reflect.get(target, name)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

const unreachable = new LitestreamError('STORAGE', 'cannot list s3://gone: connection refused')

/** Deletes all of a generation when something of it is asked for, as a retention might that runs at the same time. */
class DeletingClient extends MemoryClient {
  listings = 0
  constructor(private readonly doomed: string) {
    super({ clock: { now: () => 1_000_000, monotonic: () => 0 } })
  }

  override list(...args: Parameters<MemoryClient['list']>) {
    this.listings++
    return super.list(...args)
  }

  override async get(key: string, ...rest: [options?: Parameters<MemoryClient['get']>[1]]) {
    if (key.includes(this.doomed)) {
      const keys: string[] = []
      for await (const { key: one } of super.list(`generations/${this.doomed}/`)) keys.push(one)
      await super.delete(keys)
    }
    return await super.get(key, ...rest)
  }
}

test('what retention deletes after it was listed is no hindrance, and is told apart from what is missing', async () => {
  const doomed = 'fedcba9876543210'
  const client = new DeletingClient(doomed)
  const model = new DatabaseModel(PAGE_SIZE)
  model.apply({ pages: new Map([[1, makePage(1, 1, PAGE_SIZE)]]), pageCount: 1 })
  for (const generation of [GENERATION, doomed]) {
    const replica = new SyntheticReplica(client, { generation, pageSize: PAGE_SIZE, ours: true })
    await replica.snapshot(model.bytes(), generation === doomed ? 2000 : 1000)
  }
  const outputPath = join(tempDirectory('deleted'), 'out.db')
  const result = await restoreDatabase(options(outputPath, { replicas: [{ name: 'r', client }] }))
  expect(result?.position.generation).toBe(GENERATION)
  expect(client.listings).toBe(2)
  expect(readFileSync(outputPath)).toEqual(model.bytes())

  // Listed for ever, and never there.
  const lying = new MemoryClient()
  lying.list = client.list.bind(client)
  const again = restoreDatabase(options(`${outputPath}.2`, { replicas: [{ name: 'r', client: lying }] }))
  await expect(again).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

describe('several replicas', () => {
  test("the one with the newest state serves, whatever its place and the storage's clock", async () => {
    const [older, newer] = [await simpleReplica(1000), await simpleReplica(2000)]
    const path = join(tempDirectory(), 'db')
    const replicas = [
      { name: 'first', client: older.client },
      { name: 'second', client: newer.client },
    ]
    const result = await restoreDatabase(options(path, { replicas }))
    expect(result).toMatchObject({ replica: 'second', stateAtMs: 2000, pageCount: 2, pageSize: PAGE_SIZE })
    expect(result?.position).toEqual({ generation: GENERATION, index: 0, offset: 0 })
    expect(readFileSync(path).equals(newer.bytes)).toBe(true)
  })

  test.each([
    [
      'cannot be listed',
      {
        // biome-ignore lint/correctness/useYield: a listing that fails at once
        async *list(): AsyncGenerator<never> {
          throw unreachable
        },
      },
    ],
    [
      'cannot be read',
      {
        async get(): Promise<never> {
          throw unreachable
        },
      },
    ],
  ])('one that %s is passed over and told', async (_, part) => {
    const good = await simpleReplica(1000)
    const bad = await simpleReplica(2000)
    const path = join(tempDirectory(), 'db')
    const logger = new Lines()
    const replicas = [
      { name: 'bad', client: broken(bad.client, part) },
      { name: 'good', client: good.client },
    ]
    expect(await restoreDatabase(options(path, { replicas, logger }))).toMatchObject({ replica: 'good' })
    expect(logger.all[0]).toBe(
      'replica cannot be used, another one serves {"replica":"bad","error":"cannot list s3://gone: connection refused","serves":"good"}',
    )
    // With nothing else to serve, or only an empty one, the failure is the answer; never "there is no backup".
    for (const others of [[], [{ name: 'empty', client: new MemoryClient() }]]) {
      const attempt = restoreDatabase(
        options(`${path}2`, { replicas: [replicas[0] as (typeof replicas)[0], ...others] }),
      )
      await expect(attempt).rejects.toBe(unreachable)
    }
  })

  test('one with a hole is passed over; the hole is named when it is the only one', async () => {
    const good = await simpleReplica(1000)
    const bad = await simpleReplica(2000)
    const key = segmentKey(GENERATION, 0, 0)
    await bad.client.put(segmentKey(GENERATION, 1, 0), once(Buffer.alloc(1)))
    await bad.client.delete([key])
    const path = join(tempDirectory(), 'db')
    const replicas = [
      { name: 'bad', client: bad.client },
      { name: 'good', client: good.client },
    ]
    await expect(restoreDatabase(options(path, { replicas: replicas.slice(0, 1) }))).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(`${key} is missing`),
    })
    expect(await restoreDatabase(options(path, { replicas }))).toMatchObject({ replica: 'good' })
  })

  test('nothing anywhere, or not in this generation', async () => {
    const { client } = await simpleReplica(1000)
    const path = join(tempDirectory(), 'db')
    expect(
      await restoreDatabase(options(path, { replicas: [{ name: 'a', client: new MemoryClient() }] })),
    ).toBeUndefined()
    const wanted = { replicas: [{ name: 'a', client }], generation: 'ffffffffffffffff' }
    expect(await restoreDatabase(options(path, wanted))).toBeUndefined()
  })
})

describe('a torn snapshot of the real Litestream', () => {
  /** A real database in two states: rows only in the first, rows and an index over them in the second. */
  function states(): { first: Buffer; second: Buffer; changed: Map<number, Buffer> } {
    const path = join(tempDirectory(), 'source')
    const database = new Database(path)
    database.pragma(`page_size = ${PAGE_SIZE}`)
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)')
    database.exec(
      `WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200) INSERT INTO t SELECT x, hex(x) FROM n`,
    )
    const first = readFileSync(path)
    database.exec("CREATE INDEX i ON t (a); UPDATE t SET a = 'changed ' || id WHERE id % 3 = 0")
    database.close()
    const second = readFileSync(path)
    const changed = new Map<number, Buffer>()
    for (let page = 1; page * PAGE_SIZE <= second.length; page++) {
      const bytes = second.subarray((page - 1) * PAGE_SIZE, page * PAGE_SIZE)
      if (!bytes.equals(first.subarray((page - 1) * PAGE_SIZE, page * PAGE_SIZE))) changed.set(page, bytes)
    }
    return { first, second, changed }
  }

  async function replicaWith(earlier: boolean) {
    const clock = { nowMs: 1000 }
    const client = clockedClient(clock)
    const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize: PAGE_SIZE, ours: false })
    const { first, second, changed } = states()
    const transaction = { pages: changed, pageCount: second.length / PAGE_SIZE }
    if (earlier) {
      await replica.snapshot(first, 0)
      clock.nowMs = 2000
      await replica.segment(
        [{ pages: new Map([[1, first.subarray(0, PAGE_SIZE)]]), pageCount: first.length / PAGE_SIZE }],
        0,
      )
      replica.nextIndex()
    }
    // The copy already holds every other page of the second state.
    const torn = Buffer.from(first)
    let place = 0
    for (const [page, bytes] of changed) if (place++ % 2 === 0) bytes.copy(torn, (page - 1) * PAGE_SIZE)
    clock.nowMs = 3000
    const key = await replica.snapshot(torn, 0)
    clock.nowMs = 4000
    await replica.segment([transaction], 0)
    return { client, first, second, key }
  }

  test('an earlier one is used at that moment, the torn one once it is whole', async () => {
    const { client, first, second } = await replicaWith(true)
    const directory = tempDirectory()
    const replicas = [{ name: 'a', client }]
    const at = (atMs: number) => ({ replicas, target: { kind: 'time', atMs } }) as const
    await restoreDatabase(options(join(directory, 'torn'), at(3500)))
    expect(readFileSync(join(directory, 'torn')).equals(first)).toBe(true)
    await restoreDatabase(options(join(directory, 'whole'), at(4500)))
    expect(readFileSync(join(directory, 'whole')).equals(second)).toBe(true)
  })

  test('without an earlier one the restore is refused, even with -integrity-check none', async () => {
    const { client, key } = await replicaWith(false)
    const directory = tempDirectory()
    const more = { replicas: [{ name: 'a', client }], target: { kind: 'time', atMs: 3500 } } as const
    await expect(restoreDatabase(options(join(directory, 'db'), more))).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(new RegExp(`${key} is damaged: .*no earlier one reaches this point`, 's')),
    })
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('ending early', () => {
  test('a signal while objects are fetched: ABORTED, no leftovers, not even the directory', async () => {
    const { client } = await simpleReplica(1000)
    const directory = tempDirectory()
    const controller = new AbortController()
    let snapshotReads = 0 // the first one is the planner's question
    const hanging = broken(client, {
      async get(key, { start, signal } = {}) {
        if (!key.includes('/snapshots/') || ++snapshotReads === 1) return client.get(key, { start, signal })
        return (async function* () {
          yield* await client.get(key)
          controller.abort()
          await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
        })()
      },
    })
    const more = { replicas: [{ name: 'a', client: hanging }], signal: controller.signal }
    await expect(restoreDatabase(options(join(directory, 'new', 'db'), more))).rejects.toMatchObject({
      code: 'ABORTED',
    })
    expect(readdirSync(directory)).toEqual([])
  })

  test('a damaged object: the error says which other replica can serve', async () => {
    const [bad, good] = [await simpleReplica(2000), await simpleReplica(1000)]
    const key = segmentKey(GENERATION, 0, 0)
    const bytes = Buffer.from(await collect(await bad.client.get(key)))
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40)
    await bad.client.put(key, once(bytes))
    const directory = tempDirectory()
    const replicas = [
      { name: 'bad', client: bad.client },
      { name: 'good', client: good.client },
    ]
    await expect(restoreDatabase(options(join(directory, 'db'), { replicas }))).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(new RegExp(`${key} is damaged: .*-replica good`, 's')),
    })
    expect(readdirSync(directory)).toEqual([])
  })
})

test('progress grows to the whole, and steps are logged as the original does', async () => {
  const { client } = await simpleReplica(1000)
  const logger = new Lines()
  const seen: number[] = []
  let last: unknown
  const onProgress: RestoreOptions['onProgress'] = (progress) => {
    seen.push(progress.bytesDone)
    last = progress
  }
  await restoreDatabase(options(join(tempDirectory(), 'db'), { replicas: [{ name: 'a', client }], logger, onProgress }))
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  const total = seen.at(-1)
  expect(last).toEqual({ bytesDone: total, bytesTotal: total, objectsDone: 2, objectsTotal: 2 })
  expect(logger.all.map((line) => line.replace(/ \{.*/, ''))).toEqual([
    'restoring snapshot',
    'restored snapshot',
    'restoring wal files',
    'applied wal',
    'renaming database from temporary location',
    'restored',
  ])
  expect(logger.all.at(-1)).toContain('"state":"1970-01-01T00:00:01.000Z"')
})
