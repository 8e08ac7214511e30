// Where a replica stands when the daemon starts: its newest object says in its provenance which state of the source it stands
// for. There is no local state; a container may be thrown away at any time.
//
// What is found here is only a suggestion: another writer may be at work. The claims of replica-writer decide.

import { GENERATIONS_PREFIX, isGeneration, parseKey, snapshotsPrefix, walPrefix } from '../model/layout.js'
import type { Provenance } from '../model/provenance.js'
import type { ObjectInfo, ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'

export interface ResumePoint {
  readonly generation: string
  /** The first index without any segment: where to go on. A restore wants every index from a snapshot's on to have some. */
  readonly nextIndex: number
  /** Uncompressed end of the index before it, where that has segments. */
  readonly previous: PreviousIndex | undefined
  readonly newestKey: string
  readonly provenance: Provenance
  readonly snapshot: ObjectInfo
  /** When the newest snapshot was stored. */
  readonly snapshotAtMs: number
}

export interface PreviousIndex {
  readonly index: number
  readonly offset: number
  /** Nobody can write behind its end any more: an empty segment is there, or a snapshot in the index after it. */
  readonly closed: boolean
}

/** Undefined when the replica is empty, or its newest object was not written by this program. */
export async function findResumePoint(client: ReplicaClient, signal: AbortSignal): Promise<ResumePoint | undefined> {
  const reader = new ProvenanceReader(client, signal)
  const newest = await newestSnapshot(client, reader, signal)
  if (!newest) return undefined
  const { generation, snapshot } = newest
  const snapshotIndex = indexOf(snapshot.key)
  let segment: { info: ObjectInfo; index: number; offset: number } | undefined
  for await (const info of client.list(walPrefix(generation), signal)) {
    const name = parseKey(info.key)
    if (name?.kind === 'segment') segment = { info, index: name.index, offset: name.offset }
  }
  const ofSegment = segment && (await reader.read(segment.info))
  const onSegment = segment !== undefined && segment.index >= snapshotIndex
  const listed = segment && {
    index: segment.index,
    offset: segment.offset + (ofSegment?.bytes ?? 0),
    closed: ofSegment?.bytes === 0 || !onSegment,
  }
  const provenance = onSegment ? ofSegment : await reader.read(snapshot)
  // The snapshot itself knows better where the index before it ends than a listing that may lag.
  const said = onSegment ? undefined : provenance?.previous
  const previous = said ? { ...said, closed: true } : listed
  const newestKey = (onSegment && segment ? segment.info : snapshot).key
  if (!provenance || provenance.key !== newestKey) return undefined
  const nextIndex = segment && onSegment ? segment.index + 1 : snapshotIndex
  const follows = previous?.index === nextIndex - 1 && (said !== undefined || ofSegment?.bytes !== undefined)
  return {
    generation,
    nextIndex,
    previous: follows ? previous : undefined,
    newestKey,
    provenance,
    snapshot,
    snapshotAtMs: snapshot.modifiedAtMs,
  }
}

/** Of all generations, by the storage's times. Many stores tell whole seconds: at a tie the moments of the states decide. */
async function newestSnapshot(client: ReplicaClient, reader: ProvenanceReader, signal: AbortSignal) {
  const tied: { readonly generation: string; readonly snapshot: ObjectInfo }[] = []
  for (const generation of (await client.listNames(GENERATIONS_PREFIX, signal)).filter(isGeneration)) {
    let snapshot: ObjectInfo | undefined
    for await (const info of client.list(snapshotsPrefix(generation), signal)) {
      if (parseKey(info.key) && info.modifiedAtMs >= (snapshot?.modifiedAtMs ?? 0)) snapshot = info
    }
    const laterMs = (snapshot?.modifiedAtMs ?? Number.NaN) - (tied[0]?.snapshot.modifiedAtMs ?? 0)
    if (laterMs > 0) tied.length = 0
    if (snapshot && laterMs >= 0) tied.push({ generation, snapshot })
  }
  if (tied.length < 2) return tied[0]
  const moments = await Promise.all(tied.map(async ({ snapshot }) => (await reader.read(snapshot))?.observedAtMs ?? 0))
  return tied[moments.indexOf(Math.max(...moments))]
}

const indexOf = (key: string): number => parseKey(key)?.index ?? 0
