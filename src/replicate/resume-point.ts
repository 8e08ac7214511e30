// Where a replica stands when the daemon starts: its newest object says in its provenance which state of the source it stands
// for. There is no local state; a container may be thrown away at any time.

import { GENERATIONS_PREFIX, generationPrefix, isGeneration, parseKey } from '../model/layout.js'
import type { Provenance } from '../model/provenance.js'
import type { ObjectInfo, ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'

export interface ResumePoint {
  readonly generation: string
  /** Highest index in use, and the uncompressed end of its last segment (0 where it has none). */
  readonly index: number
  readonly offset: number
  readonly provenance: Provenance
  /** When the newest snapshot was stored. */
  readonly snapshotAtMs: number
}

/** Undefined when the replica is empty, or its newest object was not written by this program. */
export async function findResumePoint(client: ReplicaClient, signal: AbortSignal): Promise<ResumePoint | undefined> {
  let newest: { generation: string; snapshot: ObjectInfo } | undefined
  for (const generation of (await client.listNames(GENERATIONS_PREFIX, signal)).filter(isGeneration)) {
    for await (const info of client.list(`${generationPrefix(generation)}snapshots/`, signal)) {
      if (parseKey(info.key) && info.modifiedAtMs >= (newest?.snapshot.modifiedAtMs ?? 0))
        newest = { generation, snapshot: info }
    }
  }
  if (!newest) return undefined
  const { generation } = newest
  let last = newest.snapshot
  let place = { index: indexOf(last.key), offset: 0 }
  let segment: { info: ObjectInfo; index: number; offset: number } | undefined
  for await (const info of client.list(`${generationPrefix(generation)}wal/`, signal)) {
    const name = parseKey(info.key)
    if (name?.kind === 'segment') segment = { info, index: name.index, offset: name.offset }
  }
  if (segment && segment.index >= place.index) {
    last = segment.info
    place = segment
  }
  const provenance = await new ProvenanceReader(client, signal).read(last)
  if (!provenance || provenance.key !== last.key) return undefined
  const { index, offset } = place
  const end = last === newest.snapshot ? 0 : offset + (provenance.bytes ?? 0)
  return { generation, index, offset: end, provenance, snapshotAtMs: newest.snapshot.modifiedAtMs }
}

const indexOf = (key: string): number => parseKey(key)?.index ?? 0
