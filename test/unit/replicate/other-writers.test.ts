import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import { silentLogger } from '../../../src/logger.js'
import { segmentKey } from '../../../src/model/layout.js'
import type { Provenance } from '../../../src/model/provenance.js'
import { isOurs } from '../../../src/plan/claim-plan.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { nameOf, WriterConflict } from '../../../src/replicate/claim.js'
import { parseCleanStop, readCleanStop, takeCleanStop, writeCleanStop } from '../../../src/replicate/clean-stop.js'
import { OtherWriters } from '../../../src/replicate/other-writers.js'
import { findResumePoint } from '../../../src/replicate/resume-point.js'
import { StandBy } from '../../../src/replicate/stand-by.js'
import { Unborn } from '../../../src/replicate/unborn.js'
import { bodyOf, keysBelow } from '../../contract/bodies.js'
import { recordingLogger } from '../../support/recording-logger.js'
import { makePage, SyntheticReplica } from '../../support/synthetic-replica.js'

const KEY = segmentKey('00000000000000aa', 1, 0)
const { signal } = new AbortController()

const mine: Provenance = {
  version: 1,
  program: 'litestream-node 0.1.0',
  writer: 'me',
  kind: 'segment',
  key: KEY,
  pageSize: 512,
  pageCount: 3,
  observedAtMs: 1000,
  source: { cursor: { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 } },
  bytes: 568,
}

/** Time that passes when it is waited for. */
function manualClock() {
  let nowMs = 0
  const clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    uptime: () => ({ boot: 'test', ms: nowMs }),
    after: (ms: number, then: () => void) => {
      queueMicrotask(() => {
        nowMs += ms
        then()
      })
      return () => {}
    },
    turn: () => Promise.resolve(),
  }
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { clock, pass }
}

test('an object is ours when it is the very same one', () => {
  expect(isOurs(mine, { ...mine, observedAtMs: 2000 })).toBe(true)
  const cursor = { salt1: 1, salt2: 2, frames: 4, checksum1: 4, checksum2: 5, iChange: 6 }
  const others: (Provenance | undefined)[] = [
    undefined,
    { ...mine, writer: 'somebody' },
    { ...mine, key: segmentKey('00000000000000aa', 2, 0) },
    { ...mine, kind: 'snapshot' },
    { ...mine, bytes: 0 },
    { ...mine, pageCount: 4 },
    { ...mine, source: { cursor } },
  ]
  for (const other of others) expect(isOurs(mine, other)).toBe(false)
})

test('who was met is named', () => {
  const other = { ...mine, writer: 'abcd', host: 'web-2' }
  expect(new WriterConflict(KEY, other, undefined)).toMatchObject({
    code: 'EXISTS',
    reason: 'AnotherWriter',
    message: expect.stringMatching(
      /^another writer \(abcd, litestream-node 0\.1\.0 on web-2, 1970-.*\) has written .*wal\.lz4$/,
    ),
  })
  expect(new WriterConflict(KEY, undefined, undefined).message).toContain('another program')
})

test('the mark of a clean stop is taken by one', async () => {
  const client = new MemoryClient({ ignoresIfAbsent: true })
  const { clock } = manualClock()
  const take = (writer: string, newest = KEY) => takeCleanStop(client, newest, writer, clock, signal)
  expect(await take('b')).toBe(false)
  await writeCleanStop(client, { newest: KEY, writer: 'a' }, signal)
  // Somebody has written since.
  expect(await take('b', segmentKey('00000000000000aa', 1, 568))).toBe(false)
  const both = await Promise.all([take('b'), take('c')])
  expect(both.filter(Boolean)).toHaveLength(1)
  expect(await take('d')).toBe(false)
  // The one who has it may ask again.
  expect(await take(both[0] ? 'b' : 'c')).toBe(true)
})

test('what is no mark is none', async () => {
  const client = new MemoryClient()
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"newest":"k","writer":"w"}',
    '{"version":1,"newest":1,"writer":"w"}',
  ]) {
    expect(parseCleanStop(text)).toBeUndefined()
  }
  await client.put('litestream-node/clean-stop.json', bodyOf('x'.repeat(100_000)))
  expect(await readCleanStop(client, signal)).toBeUndefined()
})

test('a store without conditional writes is warned of once', async () => {
  const { lines, log } = recordingLogger()
  const client = new MemoryClient({ ignoresIfAbsent: true })
  const others = new OtherWriters({ client, clock: manualClock().clock, randomHex: () => '00', log })
  expect(await others.findConditional(signal)).toBe(false)
  expect(await others.findConditional(signal)).toBe(false)
  expect(lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('no conditional writes') }])
})

test('standing by ends with the mark of the other one, or with its silence', async () => {
  const client = new MemoryClient()
  const { clock, pass } = manualClock()
  const options = {
    client,
    clock,
    randomHex: () => '00',
    log: silentLogger,
    onConflict: 'stand-by',
    takeOverAfterMs: 1000,
  } as const
  const others = new OtherWriters(options)
  const conflict = new WriterConflict(KEY, mine, undefined)
  expect(others.met(conflict, 'me')).toBeUndefined()
  expect(others).toMatchObject({ standingBy: true, pauseMs: 250, standsBy: { other: nameOf(mine), silenceMs: 1000 } })
  expect(await others.ourTurn(undefined, signal)).toBe(false)
  pass(999)
  expect(await others.ourTurn(undefined, signal)).toBe(false)
  pass(1)
  expect(await others.ourTurn(undefined, signal)).toBe(true)
  expect(others).toMatchObject({ standingBy: false, pauseMs: 0 })
  expect(await others.ourTurn(undefined, signal)).toBe(true)
  expect(new OtherWriters({ ...options, onConflict: 'new-generation' }).met(conflict, 'me')).toContain('another writer')
})

test('while standing by it is known whether the other one does its work: something new, or what our database holds', async () => {
  const client = new MemoryClient()
  const { clock, pass } = manualClock()
  const replica = new SyntheticReplica(client, { generation: '00000000000000aa', pageSize: 512, ours: true })
  const page = makePage(1, 1, 512)
  await replica.snapshot(page, 1000)
  const standBy = new StandBy(client, clock, 4000, 'somebody')
  expect(standBy).toMatchObject({ pauseMs: 1000, overdueMs: 0, other: 'somebody' })
  const elsewhere = { cursor: { salt1: 7, salt2: 8, frames: 9, checksum1: 1, checksum2: 2, iChange: 3 } }
  // Something new each time.
  for (let i = 0; i < 3; i++) {
    pass(1000)
    await replica.segment([{ pages: new Map([[1, page]]), pageCount: 1 }], 2000 + i)
    expect(await standBy.look(elsewhere, signal)).toBeUndefined()
    expect(standBy.overdueMs).toBe(0)
  }
  // Nothing new, and our database is not what the replica holds.
  pass(1000)
  await standBy.look(elsewhere, signal)
  pass(1500)
  expect(standBy.overdueMs).toBe(1500)
  // It is what the newest object stands for: idle, and up to date.
  const point = await findResumePoint(client, signal)
  await standBy.look(point?.provenance.source, signal)
  pass(1000)
  expect(standBy.overdueMs).toBe(0)
  // Nobody looks any more: that shows by itself.
  pass(5000)
  expect(standBy.overdueMs).toBe(5000)
})

test('an unborn overlay goes at once when its snapshot cannot come any more, else when no request is under way', async () => {
  const client = new MemoryClient()
  const { clock, pass } = manualClock()
  const unborn = new Unborn(client, clock)
  const overlay = (generation: string) => segmentKey(generation, 0, 0)
  const [never, maybe, born] = ['00000000000000a1', '00000000000000a2', '00000000000000a3']
  for (const generation of [never, maybe, born]) await client.put(overlay(generation), bodyOf('x'))
  const keys = () => keysBelow(client, '')
  await unborn.add(never, 0, false)
  await unborn.add(maybe, 0, true)
  await unborn.add(born, 0, true)
  expect(await keys()).toEqual([overlay(maybe), overlay(born)])
  const late = `generations/${born}/snapshots/00000000.snapshot.lz4`
  await client.put(late, bodyOf('late'))
  pass(14 * 60_000)
  await unborn.sweep()
  expect(await keys()).toHaveLength(3)
  pass(60_000)
  for (let i = 0; i < 3; i++) await unborn.sweep()
  expect(await keys()).toEqual([late, overlay(born)])
})

test('an overlay that cannot be deleted now is kept in mind', async () => {
  const client = new MemoryClient()
  const { clock, pass } = manualClock()
  const unborn = new Unborn(client, clock)
  const key = segmentKey('00000000000000a1', 0, 0)
  await client.put(key, bodyOf('x'))
  const remove = client.delete.bind(client)
  client.delete = async () => {
    throw new LitestreamError('STORAGE', 'no answer')
  }
  await unborn.add('00000000000000a1', 0, false)
  client.delete = remove
  pass(15 * 60_000)
  await unborn.sweep()
  await expect(client.get(key)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
