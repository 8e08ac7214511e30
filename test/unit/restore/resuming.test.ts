// A broken connection costs nothing but time; what cannot be mended is an error.

import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import type { GetOptions, ReplicaClient } from '../../../src/replica/client.js'
import { readObject } from '../../../src/restore/resuming.js'
import { collect } from '../../support/codec.js'

const CONTENT = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz')
const OBJECT = { key: 'key', size: CONTENT.length }

/** Gives `perCall` bytes a call and then breaks, until the end of the content. */
function breaking(perCall: number, code: 'STORAGE' | 'NOT_FOUND' = 'STORAGE') {
  const starts: number[] = []
  const client: Pick<ReplicaClient, 'get'> = {
    async get(_key: string, { start = 0 }: GetOptions = {}) {
      starts.push(start)
      return (async function* () {
        if (perCall > 0) yield CONTENT.subarray(start, start + perCall)
        if (start + perCall < CONTENT.length) throw new LitestreamError(code, 'the connection broke')
      })()
    },
  }
  return { client: client as ReplicaClient, starts }
}

test('goes on where it broke, however often, as long as something comes', async () => {
  const { client, starts } = breaking(3)
  expect((await collect(readObject(client, OBJECT, undefined, 0))).equals(CONTENT)).toBe(true)
  expect(starts).toEqual(Array.from({ length: 12 }, (_, i) => i * 3))
})

test('gives up when attempts bring nothing, and at once for what waiting does not mend', async () => {
  const nothing = breaking(0)
  await expect(collect(readObject(nothing.client, OBJECT, undefined, 0))).rejects.toMatchObject({ code: 'STORAGE' })
  expect(nothing.starts).toHaveLength(5)
  const gone = breaking(3, 'NOT_FOUND')
  await expect(collect(readObject(gone.client, OBJECT, undefined, 0))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(gone.starts).toEqual([0])
})

test('more than was listed is an error, however little comes at a time', async () => {
  const { client } = breaking(3)
  const reading = collect(readObject(client, { key: 'key', size: 20 }, undefined, 0))
  await expect(reading).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('20 bytes') })
})

test('a signal ends the pause', async () => {
  const { client } = breaking(0)
  const controller = new AbortController()
  const reading = collect(readObject(client, OBJECT, controller.signal, 1_000_000))
  controller.abort()
  await expect(reading).rejects.toBeDefined()
})
