import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { LitestreamError } from '../../../src/errors.js'
import { parseKey } from '../../../src/model/layout.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { loadPageHash } from '../../../src/replicate/page-digests.js'
import type { Shipper, ShipperOptions } from '../../../src/replicate/shipper.js'
import { Pace, SourceDigests } from '../../../src/replicate/source-digests.js'
import { Turns, Validator } from '../../../src/replicate/validator.js'
import { keysBelow } from '../../contract/bodies.js'
import { digestsOf } from '../../support/page-digests.js'
import { type RecordedLine, recordingLogger } from '../../support/recording-logger.js'
import { ScriptedSource, shipperOf } from '../../support/scripted-source.js'
import { tamperWithPage } from '../../support/tamper.js'
import { until } from '../../support/until.js'

test('digests of the source are those of one commit, whatever was written while they were read', async () => {
  const hash = await loadPageHash()
  const commit = fc.record({ page: fc.integer({ min: 1, max: 40 }), shrink: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(commit, { maxLength: 4 }), { maxLength: 8 }), async (rounds) => {
      const source = new ScriptedSource()
      source.replace(65536, 40)
      const write = () => {
        for (const { page, shrink } of rounds.shift() ?? []) {
          const at = Math.min(page, source.pages.length + 1)
          source.commit(at, shrink ? Math.max(1, at, source.pages.length - 7) : undefined)
        }
      }
      source.beforeRead = write
      const digests = new SourceDigests(source.follower(), new Pace(systemClock, 1))
      await digests.read(AbortSignal.timeout(5000))
      const frozen = digests.frozen()
      expect(digestsOf(frozen)).toEqual(source.pages.map((page) => hash(page)))
      expect(digests.state?.pageCount).toBe(source.pages.length)
      // It goes on with the source, and what was frozen stays as it was.
      const before = digestsOf(frozen)
      source.commit(2)
      while (rounds.length > 0) write()
      expect(digestsOf(frozen)).toEqual(before)
      expect(digestsOf(digests.frozen())).toEqual(source.pages.map((page) => hash(page)))
      digests.close()
      expect(source.sinks.size).toBe(0)
    }),
    { numRuns: 40 },
  )
})

interface Rig {
  readonly source: ScriptedSource
  readonly client: MemoryClient
  readonly shipper: Shipper
  readonly validator: Validator
  readonly lines: readonly RecordedLine[]
  /** Keys of the replica. */
  keys(): Promise<string[]>
  stop(): Promise<void>
}

async function rigged(more: Partial<ShipperOptions> = {}, intervalMs = 0): Promise<Rig> {
  const source = new ScriptedSource()
  const client = new MemoryClient()
  const { lines, log } = recordingLogger()
  const shipper = shipperOf(source, client, 0, { heal: true, log, ...more })
  const follower = source.follower()
  const validator = new Validator({
    follower,
    shipper,
    client,
    intervalMs,
    turns: new Turns(),
    clock: systemClock,
    log,
  })
  shipper.start()
  validator.start()
  await until(() => shipper.inSync, { what: 'the first snapshot' })
  return {
    source,
    client,
    shipper,
    validator,
    lines,
    keys: () => keysBelow(client, 'generations/'),
    async stop() {
      await validator.stop()
      await shipper.stop(5000)
    },
  }
}

describe('a validation', () => {
  test('of an idle database, and while it is written: ok, and nothing is begun anew', async () => {
    const { source, validator, keys, lines, stop } = await rigged({ syncIntervalMs: 5 })
    expect(await validator.validate()).toMatchObject({ outcome: 'ok', reason: '', pageCount: 8 })
    let writing = true
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        source.commit(Math.min(2 + (i % 12), source.pages.length + 1))
        if (i % 50 === 49) source.commit(2, 8)
        await systemClock.turn()
      }
    })()
    for (let round = 0; round < 30; round++) expect(await validator.validate()).toMatchObject({ outcome: 'ok' })
    writing = false
    await writer
    await stop()
    const generations = new Set((await keys()).map((key) => parseKey(key)?.generation))
    expect(generations.size).toBe(1)
    expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
    expect(lines.filter(({ message }) => message === 'validated')).toHaveLength(31)
  })

  test('one changed page in the snapshot, with every checksum right: failed, named, and a new generation', async () => {
    const { source, client, shipper, validator, keys, lines, stop } = await rigged()
    source.commit(3)
    await until(() => shipper.inSync, { what: 'a segment' })
    const [snapshot = ''] = await keys()
    await tamperWithPage(client, snapshot, 5, 512)
    const { position } = shipper
    expect(await validator.validate()).toMatchObject({
      outcome: 'failed',
      reason: '1 of 8 pages differ (5)',
      position,
    })
    expect(validator.last?.outcome).toBe('failed')
    const [error] = lines.filter(({ level }) => level === 'error')
    expect(error).toMatchObject({
      message: 'validation mismatch',
      attributes: { position, error: '1 of 8 pages differ (5)' },
    })
    await until(() => shipper.inSync && shipper.position.slice(0, 16) !== position.slice(0, 16), {
      what: 'a new generation',
    })
    expect(await validator.validate()).toMatchObject({ outcome: 'ok' })
    await stop()
    expect(lines.filter(({ message }) => message === 'sync: new generation').at(-1)?.attributes.reason).toBe(
      'validation mismatch: 1 of 8 pages differ (5)',
    )
  })

  test.for([
    {
      what: 'a segment that was cut',
      damage: async (client: MemoryClient, key: string) => {
        const pieces: Uint8Array[] = []
        for await (const piece of await client.get(key)) pieces.push(piece)
        const bytes = Buffer.concat(pieces)
        async function* half() {
          yield bytes.subarray(0, bytes.length / 2)
        }
        await client.put(key, half())
      },
      said: /is damaged/,
    },
    {
      what: 'the newest segment, gone',
      damage: async (client: MemoryClient, key: string) => await client.delete([key]),
      said: /it ends with/,
    },
  ])('$what: failed', async ({ damage, said }) => {
    const { source, client, shipper, validator, keys, stop } = await rigged()
    for (const page of [3, 4]) {
      source.commit(page)
      await until(() => shipper.inSync, { what: 'a segment' })
    }
    await damage(client, (await keys()).filter((key) => key.includes('/wal/')).at(-1) as string)
    const { outcome, reason } = await validator.validate()
    expect({ outcome, reason }).toEqual({ outcome: 'failed', reason: expect.stringMatching(said) })
    await until(() => shipper.inSync, { what: 'a new generation' })
    expect(await validator.validate()).toMatchObject({ outcome: 'ok' })
    await stop()
  })

  test('a broken transfer is read again before it is believed', async () => {
    const { client, validator, stop, lines } = await rigged()
    const get = client.get.bind(client)
    let broken = 0
    client.get = async (key, options) => {
      const bytes = await get(key, options)
      if (!key.includes('/snapshots/') || options?.start || broken++ > 0) return bytes
      return (async function* () {
        for await (const piece of bytes) yield Uint8Array.from(piece, (byte, i) => (i === 40 ? byte ^ 1 : byte))
      })()
    }
    expect(await validator.validate()).toMatchObject({ outcome: 'ok' })
    expect(broken).toBe(2)
    await stop()
    expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a replica that cannot be read: inconclusive, with the reason, and nothing is begun anew', async () => {
    const { client, shipper, validator, stop } = await rigged()
    const { position } = shipper
    client.get = async () => {
      throw new LitestreamError('NOT_FOUND', 'somebody took it away')
    }
    expect(await validator.validate()).toMatchObject({ outcome: 'inconclusive', reason: 'somebody took it away' })
    expect(shipper.position).toBe(position)
    await stop()
  })

  test('continuity lost while it reads: inconclusive; the replica heals', async () => {
    const { source, shipper, validator, stop } = await rigged()
    source.beforeRead = () => {
      source.beforeRead = () => {}
      source.page(4).fill(44)
      source.lose('the WAL was restarted')
    }
    expect(await validator.validate()).toMatchObject({ outcome: 'inconclusive', reason: 'the WAL was restarted' })
    await until(() => shipper.inSync, { what: 'it to be healed' })
    expect(await validator.validate()).toMatchObject({ outcome: 'ok' })
    await stop()
  })

  test('every interval, but not again while nothing has changed', async () => {
    const { source, validator, shipper, stop, lines } = await rigged({}, 20)
    const validations = () => lines.filter(({ message }) => message === 'validated').length
    await until(() => validations() === 1, { what: 'the first' })
    const reads = source.copies
    // Several intervals, told by the clock that the validator goes by.
    await new Promise<void>((resolve) => void systemClock.after(200, resolve))
    expect({ validations: validations(), reads: source.copies }).toEqual({ validations: 1, reads })
    source.commit(3)
    await until(() => validations() === 2, { what: 'the second' })
    expect(validator.last?.position).toBe(shipper.position)
    await stop()
  })

  test('stopping ends one that is under way', async () => {
    const { source, validator, shipper } = await rigged()
    source.beforeRead = () => void validator.stop()
    await expect(validator.validate()).rejects.toThrow('stopping')
    expect(validator.last).toBeUndefined()
    await validator.stop()
    await shipper.stop(5000)
  })
})
