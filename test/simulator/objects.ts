// Reads stored objects the plain way, at once and without the restore pipeline: what the checks are measured by must not be what they
// check. Knows only what this program writes.

import { uncompressSync } from 'lz4-napi'
import { findTrailer } from '../../src/codec/trailer.js'
import { parseKey } from '../../src/model/layout.js'
import { type Provenance, parseProvenance } from '../../src/model/provenance.js'
import { FRAME_BYTES, PAGE_BYTES } from './disk.js'
import type { StoredBytes } from './store.js'

export interface PlainObject {
  readonly key: string
  readonly generation: string
  readonly kind: 'snapshot' | 'segment'
  readonly index: number
  readonly offset: number
  /** Uncompressed. */
  readonly length: number
  readonly provenance: Provenance | undefined
  readonly modifiedAtMs: number
  /** Of a snapshot, in order. */
  readonly pages: readonly Buffer[]
  /** Of a segment; `commit` is 0 or the size of the database after it. */
  readonly frames: readonly { readonly page: number; readonly commit: number; readonly image: Buffer }[]
}

/** Undefined for names of another form. */
export function readObject({ key, bytes, modifiedAtMs }: StoredBytes): PlainObject | undefined {
  const name = parseKey(key)
  if (!name) return undefined
  const content = contentOf(bytes)
  const payload = findTrailer(bytes)
  const provenance = payload && parseProvenance(payload)
  const { generation, kind, index } = name
  const offset = name.kind === 'segment' ? name.offset : 0
  const pages: Buffer[] = []
  const frames: { page: number; commit: number; image: Buffer }[] = []
  if (kind === 'snapshot') {
    for (let at = 0; at < content.length; at += PAGE_BYTES) pages.push(content.subarray(at, at + PAGE_BYTES))
  } else {
    for (let at = offset === 0 ? 32 : 0; at < content.length; at += FRAME_BYTES) {
      const image = content.subarray(at + 24, at + FRAME_BYTES)
      frames.push({ page: content.readUInt32BE(at), commit: content.readUInt32BE(at + 4), image })
    }
  }
  return { key, generation, kind, index, offset, length: content.length, provenance, modifiedAtMs, pages, frames }
}

/** One LZ4 frame of independent blocks without block checksums; the rest is not looked at. */
function contentOf(object: Buffer): Buffer {
  const blockBytesMax = 1 << (8 + 2 * ((object[5] as number) >> 4))
  const blocks: Buffer[] = []
  for (let at = 7; ; ) {
    const word = object.readUInt32LE(at)
    at += 4
    if (word === 0) return Buffer.concat(blocks)
    const length = word & 0x7fffffff
    const block = object.subarray(at, at + length)
    at += length
    if (word >= 0x80000000) blocks.push(block)
    else {
      const room = Buffer.concat([Buffer.alloc(4), block])
      room.writeUInt32LE(blockBytesMax, 0)
      blocks.push(Buffer.from(uncompressSync(room))) // its own is as long as a block may be
    }
  }
}
