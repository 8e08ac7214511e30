// The retention engine against a memory replica that counts requests, with clocks that the test moves: what a check costs, what it
// tells, and that it is not led astray.

import { describe, expect, test } from 'vitest'
import type { TimerClock } from '../../../src/clock.js'
import { LitestreamError } from '../../../src/errors.js'
import type { Logger } from '../../../src/logger.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { Retention, type RetentionShipper } from '../../../src/replicate/retention.js'
import { keysBelow } from '../../contract/bodies.js'
import { makePage, SyntheticReplica } from '../../support/synthetic-replica.js'

const HOUR = 3_600_000
const GENERATION = 'aaaaaaaaaaaaaaaa'

class RecordingClient extends MemoryClient {
  beforeGet = () => {}
  readonly calls: string[] = []
  refuse: Error | undefined
  /** What every deletion but the first one meets. */
  refuseDelete: Error | undefined

  override list(prefix: string, signal?: AbortSignal) {
    this.calls.push('list')
    if (this.refuse) throw this.refuse
    return super.list(prefix, signal)
  }

  override get(...args: Parameters<MemoryClient['get']>) {
    this.calls.push('get')
    this.beforeGet()
    return super.get(...args)
  }

  override delete(...args: Parameters<MemoryClient['delete']>) {
    this.calls.push('delete')
    const again = this.calls.filter((call) => call === 'delete').length > 1
    if (this.refuseDelete && again) return Promise.reject(this.refuseDelete)
    return super.delete(...args)
  }
}

function scene() {
  let nowMs = Date.UTC(2026, 0, 1)
  const clock: TimerClock = {
    now: () => nowMs,
    monotonic: () => nowMs - Date.UTC(2025, 0, 1),
    uptime: () => ({ boot: 'test', ms: nowMs }),
    after: () => () => {},
    turn: async () => {},
  }
  const client = new RecordingClient({ clock })
  const lines: string[] = []
  const line = (level: string) => (message: string) => void lines.push(`${level} ${message}`)
  const log = { debug: () => {}, info: line('info'), warn: line('warn'), error: line('error') } as unknown as Logger
  const shipper = {
    ownGeneration: { generation: GENERATION, firstIndex: 0, snapshotIndex: 9 } as RetentionShipper['ownGeneration'],
    uploads: 0,
    abandoned: [] as string[],
    beginAnew: (_: string, reason: string) => void shipper.abandoned.push(reason),
  }
  const retention = new Retention(shipper, { client, retentionMs: 24 * HOUR, checkIntervalMs: HOUR, clock, log })
  const writer = new SyntheticReplica(client, { generation: GENERATION, pageSize: 512, ours: true })
  const pages = new Map([[1, makePage(1, 1, 512)]])
  const snapshot = async () => {
    if (shipper.uploads > 0) writer.nextIndex()
    await writer.snapshot(makePage(1, 1, 512), nowMs)
    await writer.segment([{ pages, pageCount: 1 }], nowMs)
    shipper.uploads += 2
  }
  const pass = (hours: number) => {
    nowMs += hours * HOUR
  }
  const keys = async () => {
    const found = await keysBelow(client, 'generations/')
    client.calls.pop()
    return found.map((key) => key.split('/').slice(2).join('/'))
  }
  return { client, lines, shipper, retention, snapshot, pass, keys }
}

describe('a check', () => {
  test('deletes what is before the newest snapshot from before the window, and tells it', async () => {
    const { retention, snapshot, pass, keys, lines, client } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    await retention.check()
    expect(client.calls).toEqual(['list', 'get', 'delete', 'delete'])
    expect(await keys()).toEqual([
      'snapshots/00000002.snapshot.lz4',
      'snapshots/00000003.snapshot.lz4',
      'wal/00000002_00000000.wal.lz4',
      'wal/00000003_00000000.wal.lz4',
    ])
    expect(lines).toEqual(['info snapshot deleted', 'info wal segmented deleted before'])
  })

  test('of an idle database costs nothing, but for one when a snapshot grows old enough', async () => {
    const { retention, snapshot, pass, client, keys } = scene()
    await snapshot()
    pass(1)
    await snapshot()
    await retention.check()
    expect(client.calls).toEqual(['list'])
    for (let hour = 0; hour < 1000; hour++) {
      pass(1)
      await retention.check()
    }
    expect(client.calls.filter((call) => call === 'list').length).toBeLessThanOrEqual(3)
    expect(client.calls.filter((call) => call === 'get')).toHaveLength(1)
    expect((await keys())[0]).toBe('snapshots/00000001.snapshot.lz4')
  })

  test('relies on no snapshot of the own generation that is not known to be stored', async () => {
    const { retention, snapshot, pass, keys, shipper } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    shipper.ownGeneration = { generation: GENERATION, firstIndex: 0, snapshotIndex: 1 }
    await retention.check()
    expect((await keys())[0]).toBe('snapshots/00000001.snapshot.lz4')
    shipper.ownGeneration = { generation: GENERATION, firstIndex: 0, snapshotIndex: 2 }
    shipper.uploads++
    await retention.check()
    expect((await keys())[0]).toBe('snapshots/00000002.snapshot.lz4')
  })

  test('deletes nothing by a listing that has grown old, and looks again', async () => {
    const { retention, snapshot, pass, keys, client } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    // The machine sleeps between the listing and the deletion.
    client.beforeGet = () => pass(12)
    await retention.check()
    expect(await keys()).toHaveLength(8)
    client.beforeGet = () => {}
    await retention.check()
    expect((await keys())[0]).toBe('snapshots/00000003.snapshot.lz4')
  })

  test('while nothing can be restored from the own generation costs nothing and deletes nothing', async () => {
    const { retention, snapshot, pass, client, shipper } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    shipper.ownGeneration = undefined
    await retention.check()
    expect(client.calls).toEqual([])
  })

  test('that fails is told once, and made good by a later one', async () => {
    const { retention, snapshot, pass, client, lines, keys } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    client.refuse = new LitestreamError('STORAGE', 'list memory://: no')
    for (let i = 0; i < 3; i++) await retention.check()
    client.refuse = new LitestreamError('STORAGE', 'list memory://: still no')
    await retention.check()
    expect(lines).toEqual(['error retainer error', 'warn retention is still failing, for another reason'])
    client.refuse = undefined
    await retention.check()
    expect(lines.at(-1)).toBe('info retention works again')
    expect(await keys()).toHaveLength(4)
  })

  test('that is broken off tells what it had deleted, and the next one deletes the rest', async () => {
    const { retention, snapshot, pass, client, lines, keys } = scene()
    for (let day = 0; day < 4; day++) {
      await snapshot()
      pass(20)
    }
    client.refuseDelete = new LitestreamError('STORAGE', 'delete from memory://: no')
    await retention.check()
    expect(lines).toEqual(['info snapshot deleted', 'error retainer error'])
    client.refuseDelete = undefined
    await retention.check()
    expect(lines.slice(2)).toEqual(['info wal segmented deleted before', 'info retention works again'])
    expect(await keys()).toHaveLength(4)
  })

  test('that finds the snapshots of the own generation gone twice asks for a new generation', async () => {
    const { retention, snapshot, client, shipper } = scene()
    await snapshot()
    await client.delete([`generations/${GENERATION}/snapshots/00000000.snapshot.lz4`])
    await retention.check()
    expect(shipper.abandoned).toEqual([])
    await retention.check()
    expect(shipper.abandoned).toEqual(['the snapshots of the generation are gone'])
  })
})
