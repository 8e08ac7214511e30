// The shipper against a scripted source, where what a real one does once in a thousand times can be made to happen.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeFrame } from '../../../src/codec/frame.js'
import { LitestreamError } from '../../../src/errors.js'
import { parseKey } from '../../../src/model/layout.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { DigestFile } from '../../../src/replicate/digest-file.js'
import { findResumePoint } from '../../../src/replicate/resume-point.js'
import { recordingLogger } from '../../support/recording-logger.js'
import { restored } from '../../support/restored.js'
import { PAGES, ScriptedSource, shipperOf } from '../../support/scripted-source.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

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

test('asked to stop while an index is being closed for a snapshot: no snapshot is begun', async () => {
  const source = new ScriptedSource()
  const client = new MemoryClient()
  const shipper = shipperOf(source, client, 1)
  shipper.start()
  await until(() => shipper.inSync, { what: 'the first snapshot' })
  let stopped: Promise<void> | undefined
  const put = client.put.bind(client)
  client.put = async (key, body, options) => {
    const stored = await put(key, body, options)
    const name = parseKey(key)
    // The empty segment behind the first one.
    if (name?.kind === 'segment' && name.offset > 0) stopped ??= shipper.stop(5000)
    return stored
  }
  source.commit(2)
  await until(() => stopped !== undefined, { what: 'the index to be closed' })
  await stopped
  expect(source.copies).toBe(1)
  expect(await snapshotsOf(client)).toHaveLength(1)
  expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
})

describe('healing by comparison', () => {
  const kept = (directory: string) => new DigestFile(directory, '/data/app.db', 'memory')
  const generationsIn = async (client: MemoryClient) => await client.listNames('generations/')

  /** A shipper that has its first snapshot. */
  async function healing() {
    const source = new ScriptedSource()
    const client = new MemoryClient()
    const { lines, log } = recordingLogger()
    const shipper = shipperOf(source, client, 0, { heal: true, log })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    const healed = () =>
      until(() => lines.some(({ message }) => message === 'healed by comparison'), { what: 'it to be healed' })
    return { source, client, lines, shipper, healed }
  }

  test('commits that nobody saw: the same generation goes on, with the pages that differ', async () => {
    const { source, client, lines, shipper, healed } = await healing()
    source.commit(2)
    await until(() => shipper.inSync, { what: 'the first segment' })
    for (const page of [4, 7]) source.page(page).fill(200 + page)
    // A commit in the midst of the copy belongs to the difference, one after it is a segment of its own.
    source.beforeCopyEnds = () => source.commit(6)
    source.lose('the WAL was restarted before all of its commits were read')
    await healed()
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
    const { source, client, lines, shipper, healed } = await healing()
    source.lose('a reason')
    await healed()
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
    const { source, client, lines, shipper } = await healing()
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
    const { source, client, shipper, healed } = await healing()
    source.page(5).fill(99)
    const put = client.put.bind(client)
    let refusals = 1
    client.put = async (...args) => {
      if (refusals-- > 0) throw new LitestreamError('STORAGE', 'not now')
      return await put(...args)
    }
    source.lose('a reason')
    await healed()
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
    const { lines, log } = recordingLogger()
    const second = shipperOf(source, client, 0, { heal: true, digestFile: kept(directory), log })
    second.start()
    await until(() => second.inSync, { what: 'it to be healed' })
    await second.stop(5000)
    expect(lines.map(({ message }) => message)).toContain('healed by comparison')
    expect(await generationsIn(client)).toHaveLength(1)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)

    writeFileSync(old, ofFirstStop)
    const { lines: thirdLines, log: thirdLog } = recordingLogger()
    const third = shipperOf(source, client, 0, { heal: true, digestFile: kept(directory), log: thirdLog })
    third.start()
    await until(() => third.inSync, { what: 'another generation' })
    await third.stop(5000)
    expect(thirdLines[0]).toMatchObject({ message: 'page digests that were kept do not fit' })
    expect(await generationsIn(client)).toHaveLength(2)
  })
})
