// Where the last complete transaction of an index ends. The real Litestream may upload a segment while it is still copying a
// transaction, which then goes on in the next segment. If that one is not there (it was never written, or lies behind the moment
// that is wanted), the beginning of the transaction must not be applied, just as SQLite's recovery would not.
//
// Looks at the segments from the last one backwards, at frame headers only, before any page is written: so nothing has to be undone
// and memory stays small. Whether the frames are sound is checked when they are applied.

import { decodeFrame } from '../codec/frame.js'
import type { StoredSegment } from '../model/timeline.js'
import type { ReplicaClient } from '../replica/client.js'
import { FRAME_HEADER_BYTES, parseWalHeader, WAL_HEADER_BYTES } from '../sqlite/wal-format.js'
import { readObject } from './resuming.js'

/**
 * Undefined when the segments, all of one index and in order, end with a commit. Otherwise the offset behind the last commit, 0
 * when there is none. `pageSize` may be unknown (an empty snapshot): then the first segment's header tells.
 */
export async function findCutCommit(
  client: ReplicaClient,
  segments: readonly StoredSegment[],
  knownPageSize: number | undefined,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const pageSize = knownPageSize ?? (await readPageSize(client, segments[0] as StoredSegment, signal))
  if (pageSize === undefined) return undefined // no valid header: applying it says so
  let isNewest = true
  for (const segment of segments.toReversed()) {
    const content = decodeFrame(readObject(client, segment, signal), { name: segment.key, signal })
    const { lastCommitEnd, end } = await walkFrames(content, segment.offset, pageSize)
    if (isNewest && (lastCommitEnd === end || end <= WAL_HEADER_BYTES)) return undefined
    if (end > segment.offset) isNewest = false
    if (lastCommitEnd !== undefined) return lastCommitEnd
  }
  return isNewest ? undefined : 0
}

async function readPageSize(
  client: ReplicaClient,
  segment: StoredSegment,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  let head = Buffer.alloc(0)
  for await (const chunk of decodeFrame(readObject(client, segment, signal), { name: segment.key, signal })) {
    head = Buffer.concat([head, chunk.subarray(0, WAL_HEADER_BYTES)])
    if (head.length >= WAL_HEADER_BYTES) break
  }
  return parseWalHeader(head)?.pageSize
}

/** `end` is the offset behind the last frame, `lastCommitEnd` that behind the last commit frame. */
async function walkFrames(
  content: AsyncIterable<Uint8Array>,
  offset: number,
  pageSize: number,
): Promise<{ lastCommitEnd: number | undefined; end: number }> {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  let headerBytes = 0
  let skip = offset === 0 ? WAL_HEADER_BYTES : 0
  let end = offset
  let lastCommitEnd: number | undefined
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        const count = Math.min(skip, chunk.length - at)
        skip -= count
        at += count
        end += count
        continue
      }
      const count = Math.min(FRAME_HEADER_BYTES - headerBytes, chunk.length - at)
      header.set(chunk.subarray(at, at + count), headerBytes)
      headerBytes += count
      at += count
      end += count
      if (headerBytes < FRAME_HEADER_BYTES) continue
      headerBytes = 0
      skip = pageSize
      if (header.readUInt32BE(4) !== 0) lastCommitEnd = end + pageSize
    }
  }
  return { lastCommitEnd, end }
}
