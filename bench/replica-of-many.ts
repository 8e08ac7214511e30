// A replica with as many objects as days of steady writing leave: one segment in 5 s, 256 segments to an index, a snapshot a day. Its
// objects are small and their WAL content is all alike, but names, sizes, times and provenance are those of a real one; it lists,
// plans and ages as a real one, and only a restore of its content would fail.

import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { encodeFrame } from '../src/codec/frame.js'
import { encodeTrailer } from '../src/codec/trailer.js'
import { segmentKey, snapshotKey } from '../src/model/layout.js'
import { encodeProvenance, type Provenance } from '../src/model/provenance.js'
import type { MinioServer } from '../test/support/minio.js'
import { makePage, once } from '../test/support/synthetic-replica.js'

const PAGE_BYTES = 4096
const SEGMENT_BYTES = 24 + PAGE_BYTES
const WAL_HEADER_BYTES = 32
const SEGMENTS_PER_INDEX = 256
const SECONDS_PER_SEGMENT = 5
export const OBJECTS_PER_DAY = 86_400 / SECONDS_PER_SEGMENT
export const GENERATION = '0123456789abcdef'

interface MadeObject {
  readonly key: string
  readonly bytes: Buffer
  readonly storedMs: number
}

async function frameOf(content: Buffer): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of encodeFrame(once(content))) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}

/** The objects in order of time; the newest is of `endMs`. */
async function* madeObjects(objects: number, endMs: number): AsyncGenerator<MadeObject> {
  const page = makePage(1, 1, PAGE_BYTES)
  const frames = {
    snapshot: await frameOf(page),
    first: await frameOf(Buffer.alloc(WAL_HEADER_BYTES + SEGMENT_BYTES)),
    later: await frameOf(Buffer.alloc(SEGMENT_BYTES)),
  }
  const make = (key: string, frame: Buffer, content: number, storedMs: number, more: Partial<Provenance>) => {
    const provenance: Provenance = {
      version: 1,
      program: 'bench',
      writer: 'bench',
      kind: 'segment',
      pageSize: PAGE_BYTES,
      pageCount: 1,
      observedAtMs: storedMs,
      source: { cursor: { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 } },
      bytes: content,
      key,
      ...more,
    }
    return { key, storedMs, bytes: Buffer.concat([frame, encodeTrailer(encodeProvenance(provenance))]) }
  }
  const beganMs = endMs - objects * SECONDS_PER_SEGMENT * 1000
  let [index, offset, inIndex] = [0, 0, 0]
  let previous: Provenance['previous']
  for (let made = 0; made < objects; made++) {
    const storedMs = beganMs + (made + 1) * SECONDS_PER_SEGMENT * 1000
    if (made % OBJECTS_PER_DAY === 0) {
      // A snapshot begins an index.
      if (inIndex > 0) [previous, index, offset, inIndex] = [{ index, offset }, index + 1, 0, 0]
      const kind = { kind: 'snapshot' } as const
      yield make(snapshotKey(GENERATION, index), frames.snapshot, PAGE_BYTES, storedMs, kind)
      continue
    }
    const content = (offset === 0 ? WAL_HEADER_BYTES : 0) + SEGMENT_BYTES
    const frame = offset === 0 ? frames.first : frames.later
    const more = offset === 0 ? { previous } : {}
    yield make(segmentKey(GENERATION, index, offset), frame, content, storedMs, more)
    offset += content
    if (++inIndex === SEGMENTS_PER_INDEX) [previous, index, offset, inIndex] = [{ index, offset }, index + 1, 0, 0]
  }
}

export async function fillDirectory(root: string, objects: number): Promise<void> {
  const folders = new Set<string>()
  for await (const { key, bytes, storedMs } of madeObjects(objects, Date.now())) {
    const path = join(root, key)
    const folder = dirname(path)
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true })
    folders.add(folder)
    writeFileSync(path, bytes)
    utimesSync(path, storedMs / 1000, storedMs / 1000)
  }
}

const PUTS_IN_FLIGHT = 32

/** The store's times are those of now. */
export async function fillBucket(minio: MinioServer, bucket: string, path: string, objects: number): Promise<void> {
  const waiting = madeObjects(objects, Date.now())
  const put = async (): Promise<void> => {
    for (let next = await waiting.next(); !next.done; next = await waiting.next()) {
      const { key, bytes } = next.value
      await minio.sdk.send(new PutObjectCommand({ Bucket: bucket, Key: `${path}/${key}`, Body: bytes }))
    }
  }
  await Promise.all(Array.from({ length: PUTS_IN_FLIGHT }, put))
}
