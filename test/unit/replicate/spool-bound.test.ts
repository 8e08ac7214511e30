// What waits for a replica that cannot be reached has a bound, and a temporary directory that takes nothing more is survived: the
// source is never disturbed, and afterwards the replica gets what it lacks.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import { MemoryClient } from '../../../src/replica/memory-client.js'
import { Changeset } from '../../../src/source/changeset.js'
import { ChunkPool, SpoolBudget } from '../../../src/source/spool.js'
import { recordingLogger } from '../../support/recording-logger.js'
import { restored } from '../../support/restored.js'
import { ScriptedSource, shipperOf } from '../../support/scripted-source.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

const PAGE_SIZE = 512

test('several changesets share a budget, and give back what they took', () => {
  const [directory, pool, budget] = [tempDirectory('spool'), new ChunkPool(0), new SpoolBudget(3 * PAGE_SIZE)]
  const [first, second] = [new Changeset(pool, directory, budget), new Changeset(pool, directory, budget)]
  const page = Buffer.alloc(PAGE_SIZE, 1)
  first.put(1, page)
  first.put(1, page)
  first.put(2, page)
  second.put(1, page)
  expect(budget.usedBytes).toBe(3 * PAGE_SIZE)
  expect(() => second.put(2, page)).toThrow(
    /more than 1536 bytes of changed pages would wait in .*raise max-spool-size/,
  )
  // A page that is in already takes nothing more.
  second.put(1, Buffer.alloc(PAGE_SIZE, 2))
  first.clear()
  second.put(2, page)
  second.clear()
  expect(budget.usedBytes).toBe(0)
})

/** Fails while it is down. */
class Unreachable extends MemoryClient {
  down = false

  override async put(...args: Parameters<MemoryClient['put']>): ReturnType<MemoryClient['put']> {
    if (this.down) throw new LitestreamError('STORAGE', 'connection refused', { reason: 'ECONNREFUSED' })
    return await super.put(...args)
  }
}

describe.each([
  ['may be healed', true],
  ['begins a new generation', false],
] as const)('a replica that %s', (_, heal) => {
  test.each([
    ['the bound is reached', 3 * PAGE_SIZE, /more than 1536 bytes/],
    ['the temporary directory takes nothing', 1 << 30, /cannot keep changed pages in/],
  ] as const)('%s during an outage', async (what, maxSpoolBytes, message) => {
    const fits = what === 'the bound is reached'
    const source = new ScriptedSource()
    const client = new Unreachable()
    const { lines, log } = recordingLogger()
    const errors = () => lines.filter(({ level }) => level === 'error')
    const file = join(tempDirectory('bound'), 'file')
    writeFileSync(file, '')
    // Not even root can make a directory below a file.
    const spoolDirectory = fits ? tempDirectory('bound') : join(file, 'below')
    const pool = new ChunkPool(0)
    const shipper = shipperOf(source, client, 0, { heal, log, pool, maxSpoolBytes, spoolDirectory })
    shipper.start()
    await until(() => shipper.inSync, { what: 'the first snapshot' })
    client.down = true
    for (const page of [2, 3, 4, 5, 6, 2, 3]) source.commit(page)
    await until(() => errors().length > 0, { what: 'it to be said' })
    const told = errors().filter((line) => line.message.startsWith('changes are not collected any more'))
    expect(told.map(({ attributes }) => String(attributes.error))).toEqual([expect.stringMatching(message)])
    expect(source.sinks.size).toBe(0)
    expect(shipper.record.overflow).toMatch(message)
    client.down = false
    shipper.tryNow()
    await until(() => shipper.inSync, { what: 'it to catch up' })
    expect(shipper.record.overflow).toBeUndefined()
    await shipper.stop(5000)
    expect((await restored(client)).equals(Buffer.concat(source.pages))).toBe(true)
    // A difference would have to wait in the same place, with the same bound; a snapshot need not.
    expect(await client.listNames('generations/')).toHaveLength(2)
    const anew = lines.filter(({ message }) => message === 'sync: new generation').at(-1)
    if (heal) expect(anew?.attributes.reason).toMatch(message)
  })
})
