// The real Litestream may upload a segment that ends within a transaction: its beginning counts only together with its end. And, while it
// stops, one more segment whose content a longer one has already.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeFrame } from '../../../src/codec/frame.js'
import { silentLogger } from '../../../src/logger.js'
import { segmentKey } from '../../../src/model/layout.js'
import type { RestoreTarget } from '../../../src/model/target.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { restoreDatabase } from '../../../src/restore/restore.js'
import { collect, decode } from '../../support/codec.js'
import { DatabaseModel, makePage, once, SyntheticReplica } from '../../support/synthetic-replica.js'
import { tempDirectory } from '../../support/temp.js'

const GENERATION = '0123456789abcdef'
const PAGE_SIZE = 512
const FRAME_BYTES = 24 + PAGE_SIZE

/** Index 0: a segment with two transactions, and one with a transaction of four frames, cut into two objects after `frames`. */
async function makeReplica(frames: number, emptySnapshot = false) {
  const clock = { nowMs: 1000 }
  const client = new MemoryClient({ clock: { now: () => clock.nowMs++, monotonic: () => 0 } })
  const replica = new SyntheticReplica(client, { generation: GENERATION, pageSize: PAGE_SIZE, ours: false })
  const model = new DatabaseModel(PAGE_SIZE)
  const change = (version: number, pages: readonly number[]) => {
    const transaction = {
      pages: new Map(pages.map((page) => [page, makePage(page, version, PAGE_SIZE)])),
      pageCount: 4,
    }
    model.apply(transaction)
    return transaction
  }
  if (emptySnapshot) await replica.snapshot(Buffer.alloc(0), 0)
  change(0, [1, 2, 3, 4])
  if (!emptySnapshot) await replica.snapshot(model.bytes(), 0)
  await replica.segment([change(1, [1, 2, 3, 4]), change(2, [3])], 0)
  const before = model.bytes()
  const { key, bytes } = await replica.segment([change(3, [4, 1, 2, 3])], 0)
  const offset = Number.parseInt(key.slice(-'00000000.wal.lz4'.length), 16)
  const content = await decode(await collect(await client.get(key)))
  expect(content.length).toBe(bytes)
  const cut = frames * FRAME_BYTES
  const secondKey = segmentKey(GENERATION, 0, offset + cut)
  await client.put(key, encodeFrame(once(content.subarray(0, cut))))
  const secondAtMs = clock.nowMs
  await client.put(secondKey, encodeFrame(once(content.subarray(cut))))
  return { client, clock, replica, before, after: model.bytes(), change, secondKey, secondAtMs }
}

async function restored(client: MemoryClient, target: RestoreTarget = { kind: 'latest' }): Promise<Buffer> {
  const outputPath = join(tempDirectory(), 'db')
  await restoreDatabase({
    replicas: [{ name: 'memory', client }],
    outputPath,
    target,
    integrityCheck: 'none',
    parallelism: 2,
    logger: silentLogger,
    monotonic: () => 0,
  })
  return readFileSync(outputPath)
}

test.each([
  { frames: 1, emptySnapshot: false },
  { frames: 3, emptySnapshot: false },
  { frames: 2, emptySnapshot: true },
])('cut after $frames frames (empty snapshot: $emptySnapshot)', async ({ frames, emptySnapshot }) => {
  const { client, before, after, secondKey, secondAtMs } = await makeReplica(frames, emptySnapshot)
  expect((await restored(client)).equals(after), 'with both halves').toBe(true)
  const earlier = await restored(client, { kind: 'time', atMs: secondAtMs - 1 })
  expect(earlier.equals(before), 'at a moment between the halves').toBe(true)
  await client.delete([secondKey])
  expect((await restored(client)).equals(before), 'the second half was never written').toBe(true)
})

test('the second half is missing, and a later index shows that it was there', async () => {
  const { client, replica, change, secondKey } = await makeReplica(2)
  replica.nextIndex()
  await replica.segment([change(4, [1])], 0)
  await client.delete([secondKey])
  await expect(restored(client)).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringContaining(`${secondKey} is missing: the last transaction of its index is not complete`),
  })
})

/** The first `long` frames of the last transaction's segment, and those from `from` to before `to` in the next one. */
async function overlapping(from: number, to: number, change: (content: Buffer) => void = () => {}, long = 4) {
  const made = await makeReplica(from)
  const { client, replica, secondKey } = made
  const firstKey = segmentKey(GENERATION, 0, Number.parseInt(secondKey.slice(-16, -8), 16) - from * FRAME_BYTES)
  const [first, second] = [await content(client, firstKey), await content(client, secondKey)]
  await client.put(firstKey, encodeFrame(once(Buffer.concat([first, second]).subarray(0, long * FRAME_BYTES))))
  const again = Buffer.from(second.subarray(0, (to - from) * FRAME_BYTES))
  change(again)
  await client.put(secondKey, encodeFrame(once(again)))
  return { ...made, replica }
}

const content = async (client: MemoryClient, key: string) =>
  Buffer.from(await decode(await collect(await client.get(key))))

test.each([1, 2, 3])('a longer segment holds what the next one has, from its frame %i on', async (from) => {
  const { client, after } = await overlapping(from, 4)
  expect((await restored(client)).equals(after)).toBe(true)
})

test.each([
  [
    'another checksum',
    1,
    4,
    (bytes: Buffer) => void bytes.fill(7, bytes.length - FRAME_BYTES + 16, bytes.length - FRAME_BYTES + 24),
  ],
  ['an end within the longer one', 1, 3, () => {}],
] as const)('but with %s it is damaged', async (_, from, to, change) => {
  const { client, secondKey } = await overlapping(from, to, change)
  await expect(restored(client)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(secondKey) })
})

test.each([2, 3])('what the next one has behind the first %i frames counts', async (long) => {
  const { client, after } = await overlapping(1, 4, () => {}, long)
  expect((await restored(client)).equals(after)).toBe(true)
})
