// An index that was closed without anybody hearing of it is closed all the same: what comes next goes to the next one, and its own
// empty segment is not taken for another writer's.

import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import type { MemoryClient } from '../../../src/replica/memory-client.js'
import { keysBelow } from '../../contract/bodies.js'
import { writerOnMemory } from '../../support/writer-on-memory.js'

const { signal } = new AbortController()

/** The next upload is stored, or not, and its answer lost. */
function loseAnswer(client: MemoryClient, stored: boolean): void {
  const put = client.put.bind(client)
  client.put = async (...args) => {
    client.put = put
    if (stored) await put(...args)
    throw new LitestreamError('STORAGE', 'the connection was cut', { reason: 'ECONNRESET' })
  }
}

test.each([true, false])('the answer to closing an index is lost, stored: %s', async (stored) => {
  const { client, writer, ship } = await writerOnMemory()
  await ship()
  const closedAt = writer.place?.end.offset
  loseAnswer(client, stored)
  await expect(writer.nextIndex(signal)).rejects.toThrow('the connection was cut')
  expect(writer.place?.end).toMatchObject({ index: 0, offset: closedAt })
  await ship()
  expect(writer.place?.end.index).toBe(1)
  await ship()
  const names = (await keysBelow(client, 'generations/')).map((key) => key.split('/').slice(2).join('/'))
  expect(names.filter((name) => name.startsWith('wal/00000000_'))).toHaveLength(2)
  expect(names.filter((name) => name.startsWith('wal/00000001_'))).toHaveLength(2)
})
