import { expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { DatabaseCopy } from '../../../src/replicate/copy.js'
import type { Follower } from '../../../src/replicate/follower.js'
import { loadPageHash } from '../../../src/replicate/page-digests.js'
import { Pace, SourceDigests } from '../../../src/replicate/source-digests.js'
import { ChunkPool } from '../../../src/source/spool.js'
import { digestsOf } from '../../support/page-digests.js'
import { ScriptedSource } from '../../support/scripted-source.js'

/** The WAL restarts while its pages are read: what came of them is not in it any more, the file has newer ones. */
function restartingWal(source: ScriptedSource): Follower {
  const follower = source.follower()
  const beginCopy: Follower['beginCopy'] = async (sink, fromWal, signal) => {
    fromWal.begin()
    fromWal.put(3, Buffer.alloc(512, 99))
    fromWal.begin()
    fromWal.put(4, source.page(4))
    return await follower.beginCopy(sink, fromWal, signal)
  }
  return { ...follower, beginCopy } as unknown as Follower
}

test('pages of a WAL that was restarted while it was read do not count in a copy', async () => {
  const source = new ScriptedSource()
  const copy = new DatabaseCopy(restartingWal(source), new ChunkPool(1 << 20), undefined, AbortSignal.timeout(5000))
  const nobody = { begin() {}, put() {}, commit() {}, lost() {} }
  const pieces: Buffer[] = []
  const end = async () => {}
  for await (const piece of copy.pages(nobody, end, () => {})) pieces.push(Buffer.from(piece))
  copy.close()
  expect(Buffer.concat(pieces).equals(Buffer.concat(source.pages))).toBe(true)
})

test('nor in the digests of the source', async () => {
  const hash = await loadPageHash()
  const source = new ScriptedSource()
  const digests = new SourceDigests(restartingWal(source), new Pace(systemClock, 1))
  await digests.read(AbortSignal.timeout(5000))
  expect(digestsOf(digests.frozen())).toEqual(source.pages.map((page) => hash(page)))
})
