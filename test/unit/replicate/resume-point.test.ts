// Where a replica stands when a daemon starts, from listings that do not show everything yet, and from times that are whole seconds.

import { expect, test } from 'vitest'
import { parseKey } from '../../../src/model/layout.js'
import type { ReplicaClient } from '../../../src/replica/client.js'
import type { Place } from '../../../src/replicate/replica-writer.js'
import { findResumePoint } from '../../../src/replicate/resume-point.js'
import { writerOnMemory } from '../../support/writer-on-memory.js'

const { signal } = new AbortController()

type Seen = { readonly modifiedAtMs: number } | undefined

/** From now on the client lists what `see` makes of each object. */
function listings(client: ReplicaClient): (see: (key: string) => Seen) => void {
  const list = client.list.bind(client)
  return (see) => {
    client.list = async function* (prefix, ...rest) {
      for await (const info of list(prefix, ...rest)) {
        const seen = see(info.key)
        if (seen) yield { ...info, ...seen }
      }
    }
  }
}

test('a snapshot says where the index before it ended, whatever of that index is listed yet', async () => {
  const { client, writer, ship, snapshot } = await writerOnMemory()
  for (let i = 0; i < 3; i++) await ship()
  const end = writer.place?.end
  await snapshot((await writer.nextIndex(signal)) as Place)
  const offsets: number[] = []
  for await (const { key } of client.list('generations/')) {
    const name = parseKey(key)
    if (name?.kind === 'segment') offsets.push(name.offset)
  }
  expect(offsets.at(-1)).toBe(end?.offset)
  const show = listings(client)
  for (const hidden of offsets) {
    show((key) => {
      const name = parseKey(key)
      return name?.kind === 'segment' && name.offset >= hidden ? undefined : { modifiedAtMs: 1 }
    })
    const resume = await findResumePoint(client, signal)
    expect(resume).toMatchObject({ nextIndex: 1, previous: { index: 0, offset: end?.offset, closed: true } })
  }
})

test('of two generations within a second of the storage the one with the later state is gone on with, as a restore would', async () => {
  const { client, writer, ship, snapshot } = await writerOnMemory()
  const [first, second, third] = [writer.newGeneration(), writer.newGeneration(), writer.newGeneration()]
  for (const place of [second, first, third]) {
    writer.place = place
    await snapshot(place)
    await ship()
  }
  const show = listings(client)
  const among = async (...places: readonly Place[]) => {
    const generations = places.map(({ generation }) => generation)
    show((key) => ({ modifiedAtMs: generations.includes(parseKey(key)?.generation as string) ? 1000 : 999 }))
    return (await findResumePoint(client, signal))?.generation
  }
  expect(await among(first, second)).toBe(first.generation)
  expect(await among(first, third)).toBe(third.generation)
  expect(await among(second)).toBe(second.generation)
})
