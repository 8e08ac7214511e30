// The shipper against a scripted source, where what a real one does once in a thousand times can be made to happen.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { decodeFrame } from '../../../src/codec/frame.js'
import { LitestreamError } from '../../../src/errors.js'
import { type Attributes, type Logger, silentLogger } from '../../../src/logger.js'
import { parseKey } from '../../../src/model/layout.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { DigestFile } from '../../../src/replicate/digest-file.js'
import type { Follower } from '../../../src/replicate/follower.js'
import { findResumePoint } from '../../../src/replicate/resume-point.js'
import { Shipper, type ShipperOptions } from '../../../src/replicate/shipper.js'
import type { Sink, SourceState } from '../../../src/replicate/sink.js'
import { restoreDatabase } from '../../../src/restore/restore.js'
import { ChunkPool } from '../../../src/source/spool.js'
import { makePage } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

const PAGE_SIZE = 512
const PAGES = 8

/** A database of a few pages, with whoever follows it. */
class ScriptedSource {
  pages: Buffer[] = []
  readonly sinks = new Set<Sink>()
  copies = 0
  /** Called when a copy is about to begin, before it sees anything. */
  beforeCopy: (copy: number) => void = () => {}
  /** Called once, when everything was copied. */
  beforeCopyEnds: () => void = () => {}
  /** Why nobody may go on where a replica stands. */
  unproven = 'no generation exists'
  private commits = 0

  constructor() {
    this.replace(PAGE_SIZE, PAGES)
  }

  /** Another database at the same place. */
  replace(pageSize: number, pageCount: number): void {
    this.pages = Array.from({ length: pageCount }, (_, i) => Buffer.alloc(pageSize, pageCount === PAGES ? 0 : i + 1))
    this.page(1).set(makePage(1, 0, pageSize))
  }

  page(page: number): Buffer {
    return this.pages[page - 1] as Buffer
  }

  state(): SourceState {
    const cursor = { salt1: 1, salt2: 2, frames: this.commits, checksum1: 0, checksum2: 0, iChange: this.commits }
    return {
      pageSize: this.page(1).length,
      pageCount: this.pages.length,
      observedAtMs: systemClock.now(),
      source: { cursor },
    }
  }

  /** Writes one page. */
  commit(page: number): void {
    this.commits++
    this.page(page).fill(this.commits)
    for (const sink of this.sinks) sink.begin()
    for (const sink of this.sinks) sink.put(page, this.page(page))
    for (const sink of this.sinks) sink.commit(this.state())
  }

  /** As the tracker does: everybody is told, and out. */
  lose(reason: string): void {
    const sinks = [...this.sinks]
    this.sinks.clear()
    for (const sink of sinks) sink.lost(reason)
  }

  follower(): Follower {
    const scripted: Pick<Follower, 'join' | 'leave' | 'state' | 'hasSource' | 'beginCopy' | 'endCopy'> = {
      hasSource: true,
      join: async () => this.unproven,
      leave: (sink) => void this.sinks.delete(sink),
      state: () => this.state(),
      beginCopy: async (sink) => {
        this.beforeCopy(++this.copies)
        this.sinks.add(sink)
        const read = async (into: Uint8Array, length: number, position: number) => {
          const pageSize = this.page(1).length
          for (let at = 0; at < length; at += pageSize) into.set(this.page((position + at) / pageSize + 1), at)
          return length
        }
        return { state: this.state(), read }
      },
      endCopy: async (sink, next) => {
        this.beforeCopyEnds()
        this.beforeCopyEnds = () => {}
        this.sinks.delete(sink)
        this.sinks.add(next)
        return this.state()
      },
    }
    return scripted as unknown as Follower
  }
}

let random = 0

function shipperOf(
  source: ScriptedSource,
  client: MemoryClient,
  snapshotIntervalMs: number,
  more: Partial<ShipperOptions> = {},
): Shipper {
  return new Shipper(source.follower(), {
    name: 'memory',
    client,
    syncIntervalMs: 0,
    snapshotIntervalMs,
    pool: new ChunkPool(1 << 20),
    clock: systemClock,
    randomHex: (bytes) => (++random).toString(16).padStart(bytes * 2, '0'),
    log: silentLogger,
    ...more,
  })
}

async function snapshotsOf(client: MemoryClient) {
  const found: { generation: string; index: number; content: Buffer }[] = []
  for await (const { key } of client.list('generations/')) {
    const name = parseKey(key)
    if (name?.kind !== 'snapshot') continue
    const pieces: Buffer[] = []
    for await (const piece of decodeFrame(await client.get(key), { name: key })) pieces.push(piece)
    found.push({ generation: name.generation, index: name.index, content: Buffer.concat(pieces) })
  }
  return found
}

test('continuity lost between the decision for a snapshot and its beginning: a new generation, not a snapshot in the old one', async () => {
  const source = new ScriptedSource()
  const client = new MemoryClient()
  const shipper = shipperOf(source, client, 1)
  source.beforeCopy = (copy) => {
    if (copy !== 2) return // Commits that nobody saw, then one after the source was taken up anew.
    ;(source.pages[3] as Buffer).fill(200)
    source.lose('the WAL was restarted before all of its commits were read')
    source.commit(5)
  }
  shipper.start()
  await until(() => shipper.inSync, { what: 'the first snapshot' })
  source.commit(2)
  await until(() => source.copies >= 3 && shipper.inSync, { what: 'the next generation' })
  await shipper.stop(5000)

  const snapshots = await snapshotsOf(client)
  expect(new Set(snapshots.map(({ generation }) => generation)).size).toBe(2)
  // The generation that lost its continuity ends where it was lost.
  expect(snapshots.filter(({ index }) => index > 0)).toEqual([])
  const newest = snapshots.filter(({ generation }) => generation !== snapshots[0]?.generation)
  expect(newest.map(({ content }) => content.equals(Buffer.concat(source.pages)))).toEqual([true])
})

describe('healing by comparison', () => {
  const kept = (directory: string) => new DigestFile(directory, '/data/app.db', 'memory')
  const generationsIn = async (client: MemoryClient) => await client.listNames('generations/')

  /** Restored from the replica's newest position. */
  async function restored(client: MemoryClient): Promise<Buffer> {
    const outputPath = join(tempDirectory('heal'), 'restored.db')
    const options = {
      target: { kind: 'latest' },
      integrityCheck: 'none',
      parallelism: 1,
      logger: silentLogger,
    } as const
    const replicas = [{ name: 'memory', client }]
    expect(await restoreDatabase({ replicas, outputPath, ...options, monotonic: () => 0 })).toBeDefined()
    return readFileSync(outputPath)
  }

  function logOf(): { lines: { message: string; attributes: Attributes }[]; log: Logger } {
    const lines: { message: string; attributes: Attributes }[] = []
    const note = (message: string, attributes: Attributes = {}) => void lines.push({ message, attributes })
    return { lines, log: { ...silentLogger, info: note, warn: note } }
  }

  test('commits that nobody saw: the same generation goes on, with the pages that differ', async () => {
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const { lines, log } = logOf()
    const shipper = shipperOf(source, client, 0, { heal: true, log })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    source.commit(2)
    await until(() => shipper.inSync, { what: 'the first segment' })
    for (const page of [4, 7]) source.page(page).fill(200 + page)
    // A commit in the midst of the copy belongs to the difference, one after it is a segment of its own.
    source.beforeCopyEnds = () => source.commit(6)
    source.lose('the WAL was restarted before all of its commits were read')
    await until(() => lines.some(({ message }) => message === 'healed by comparison'), { what: 'it to be healed' })
    source.commit(3)
    await until(() => shipper.inSync, { what: 'what came since' })
    await shipper.stop(5000)
    expect(await generationsIn(client)).toHaveLength(1)
    expect(await snapshotsOf(client)).toHaveLength(1)
    expect(lines.find(({ message }) => message === 'healed by comparison')?.attributes).toMatchObject({
      reason: 'the WAL was restarted before all of its commits were read',
      compared: PAGES,
      shipped: 3,
    })
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
  })

  test('nothing differs: one page says where the source stands now', async () => {
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const { lines, log } = logOf()
    const shipper = shipperOf(source, client, 0, { heal: true, log })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    source.lose('a reason')
    await until(() => lines.some(({ message }) => message === 'healed by comparison'), { what: 'it to be healed' })
    await shipper.stop(5000)
    expect(lines.at(-1)?.attributes).toMatchObject({ compared: PAGES, shipped: 1 })
    const resume = await findResumePoint(client, AbortSignal.timeout(5000))
    expect(resume?.provenance.source).toEqual(source.state().source)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
  })

  test.for([
    {
      what: 'another page size',
      change: (source: ScriptedSource) => source.replace(1024, PAGES),
      said: /page size changed from 512 to 1024/,
    },
    {
      what: 'most of a larger database',
      change: (source: ScriptedSource) => source.replace(512, 40_000),
      said: /most of the database is different/,
    },
  ])('$what: a new generation', async ({ change, said }) => {
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const { lines, log } = logOf()
    const shipper = shipperOf(source, client, 0, { heal: true, log })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    change(source)
    source.lose('the file was replaced')
    await until(async () => shipper.inSync && (await snapshotsOf(client)).length === 2, { what: 'the second snapshot' })
    await shipper.stop(5000)
    const reasons = lines
      .filter(({ message }) => message === 'sync: new generation')
      .map(({ attributes }) => attributes.reason)
    expect(reasons).toHaveLength(2)
    expect(reasons[1]).toMatch(said)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
  })

  test('an upload that fails while it heals is repeated, and nothing is said before it worked', async () => {
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const { lines, log } = logOf()
    const shipper = shipperOf(source, client, 0, { heal: true, log })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    source.page(5).fill(99)
    const put = client.put.bind(client)
    let refusals = 1
    client.put = async (...args) => {
      if (refusals-- > 0) throw new LitestreamError('STORAGE', 'not now')
      return await put(...args)
    }
    source.lose('a reason')
    await until(() => lines.some(({ message }) => message === 'healed by comparison'), { what: 'it to be healed' })
    await shipper.stop(5000)
    expect(await generationsIn(client)).toHaveLength(1)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
  })

  test('digests that were kept: healed after a restart; those of an older stop are ignored', async () => {
    const directory = tempDirectory('digests')
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const first = shipperOf(source, client, 0, { heal: true, digestFile: kept(directory) })
    first.start()
    await until(() => first.inSync, { what: 'the first snapshot' })
    source.commit(2)
    await first.stop(5000)
    const old = join(directory, readdirSync(directory)[0] as string)
    const ofFirstStop = readFileSync(old)

    source.page(8).fill(33)
    source.unproven = 'the WAL was restarted while nobody watched'
    const { lines, log } = logOf()
    const second = shipperOf(source, client, 0, { heal: true, digestFile: kept(directory), log })
    second.start()
    await until(() => second.inSync, { what: 'it to be healed' })
    await second.stop(5000)
    expect(lines.map(({ message }) => message)).toContain('healed by comparison')
    expect(await generationsIn(client)).toHaveLength(1)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)

    writeFileSync(old, ofFirstStop)
    const { lines: thirdLines, log: thirdLog } = logOf()
    const third = shipperOf(source, client, 0, { heal: true, digestFile: kept(directory), log: thirdLog })
    third.start()
    await until(() => third.inSync, { what: 'another generation' })
    await third.stop(5000)
    expect(thirdLines[0]).toMatchObject({ message: 'page digests that were kept do not fit' })
    expect(await generationsIn(client)).toHaveLength(2)
  })
})
