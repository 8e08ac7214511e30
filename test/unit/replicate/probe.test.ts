import { expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { LitestreamError } from '../../../src/errors.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { CountingClient } from '../../../src/replica/with-counts.js'
import { PROBE_PAUSE_MS, Probe } from '../../../src/replicate/probe.js'
import { ReplicaRecord } from '../../../src/replicate/replica-record.js'
import { until } from '../../support/until.js'

const KEY = 'generations/0000000000000001/snapshots/00000000.snapshot.lz4'

async function* bytes() {
  yield Buffer.from('a snapshot')
}

async function probing() {
  let nowMs = 0
  const clock = { ...systemClock, now: () => nowMs, monotonic: () => nowMs }
  const memory = new MemoryClient()
  const { size } = await memory.put(KEY, bytes())
  let refuse: (() => Promise<never>) | undefined
  const get = memory.get.bind(memory)
  memory.get = (...args) => refuse?.() ?? get(...args)
  const client = new CountingClient(memory)
  const record = new ReplicaRecord(clock)
  const told: string[] = []
  const probe = new Probe({
    client,
    record,
    clock,
    onAnswer: () => void told.push('answer'),
    onGone: (generation, reason) => void told.push(generation, reason),
  })
  onTestFinished(() => probe.stop())
  record.reached()
  record.snapshotStored({ key: KEY, size, atMs: 0 })
  return {
    memory,
    client,
    record,
    probe,
    told,
    pass: (ms: number) => {
      nowMs += ms
    },
    refuseWith: (work: (() => Promise<never>) | undefined) => {
      refuse = work
    },
  }
}

test('one byte, at most once in 30 s, and nothing unless somebody asks', async () => {
  const { client, probe, pass, told } = await probing()
  pass(1)
  expect(probe.result()).toBeUndefined()
  await Promise.all([probe.ask(), probe.ask()])
  await probe.ask()
  expect(client.counts.GET).toEqual({ requests: 1, failures: 0, bytes: 1 })
  expect(told).toEqual(['answer'])
  pass(5)
  expect(probe.result()).toEqual({ problem: undefined, ageMs: 5 })
  pass(PROBE_PAUSE_MS - 5)
  await probe.ask()
  expect(client.counts.GET.requests).toBe(2)
})

test('a snapshot that is gone is told once, and to whoever can do something about it', async () => {
  const { memory, probe, pass, told } = await probing()
  pass(1)
  await memory.delete([KEY])
  await probe.ask()
  expect(probe.result()?.problem).toMatch(/^the newest snapshot is gone: .*0000000000000001/)
  expect(told[0]).toBe('0000000000000001')
  expect(told[1]).toMatch(/^the newest snapshot is gone/)
})

test('one that expired while a newer one was made is no finding', async () => {
  const { memory, record, probe, pass, refuseWith, told } = await probing()
  pass(1)
  refuseWith(async () => {
    record.snapshotStored({ key: KEY.replace('00000000.', '00000001.'), size: 1, atMs: 1 })
    throw new LitestreamError('NOT_FOUND', 'no such object')
  })
  await memory.delete([KEY])
  await probe.ask()
  expect(probe.result()).toBeUndefined()
  expect(told).toEqual([])
})

test('a replica that refused is asked again by itself until it answers; an upload makes the refusal void', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { client, record, probe, pass, refuseWith, told } = await probing()
  pass(1)
  refuseWith(async () => {
    throw new LitestreamError('STORAGE', 'connection refused')
  })
  await probe.ask()
  expect(probe.result()?.problem).toBe('connection refused')
  expect(told).toEqual([])
  pass(1)
  record.uploaded(10)
  expect(probe.result()).toBeUndefined()
  refuseWith(undefined)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(told).toEqual(['answer'])
  expect(client.counts.GET).toMatchObject({ requests: 1, failures: 1 })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(client.counts.GET.requests).toBe(1)
})

test('while an answer is waited for, that is known; stopping ends the wait', async () => {
  const { memory, probe, pass } = await probing()
  memory.get = (_key, options) =>
    new Promise((_, reject) => options?.signal?.addEventListener('abort', () => reject(new Error('stopped'))))
  const asking = probe.ask()
  pass(4000)
  expect(probe.askedForMs).toBe(4000)
  await probe.stop()
  await asking
  expect(probe.result()).toBeUndefined()
})

test('nothing is asked before there is a snapshot', async () => {
  const { client, record, probe } = await probing()
  record.gone()
  await probe.ask()
  await until(() => probe.askedForMs === 0)
  expect(client.counts.GET.requests).toBe(0)
})
