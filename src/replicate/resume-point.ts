// Where a replica stands when the daemon starts: its newest object says in its provenance which state of the source it stands
// for. There is no local state; a container may be thrown away at any time.
//
// What is found here is only a suggestion: another writer may be at work. The claims of replica-writer decide.

import { GENERATIONS_PREFIX, parseKey } from '../model/layout.js'
import type { Provenance } from '../model/provenance.js'
import type { StoredSegment, StoredSnapshot } from '../model/timeline.js'
import { lastWritten, type Written } from '../plan/last-written.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'

export interface ResumePoint {
  readonly generation: string
  /** The first index without any segment: where to go on. A restore wants every index from a snapshot's on to have some. */
  readonly nextIndex: number
  /** Uncompressed end of the index before it, where that has segments. */
  readonly previous: PreviousIndex | undefined
  readonly newestKey: string
  readonly provenance: Provenance
  readonly snapshot: StoredSnapshot
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
  const written = await newestGeneration(client, reader, signal)
  if (!written) return undefined
  const { generation, snapshot, segment, newest } = written
  const ofSegment = segment && (await reader.read(segment))
  const onSegment = newest.kind === 'segment'
  const listed = segment && {
    index: segment.index,
    offset: segment.offset + (ofSegment?.bytes ?? 0),
    closed: ofSegment?.bytes === 0 || !onSegment,
  }
  const provenance = onSegment ? ofSegment : await reader.read(snapshot)
  // The snapshot itself knows better where the index before it ends than a listing that may lag.
  const said = onSegment ? undefined : provenance?.previous
  const previous = said ? { ...said, closed: true } : listed
  const newestKey = newest.key
  if (!provenance || provenance.key !== newestKey) return undefined
  const nextIndex = onSegment ? newest.index + 1 : snapshot.index
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

interface Found extends Written {
  readonly generation: string
  readonly snapshot: StoredSnapshot
  readonly segment: StoredSegment | undefined
}

/** The generation that a restore would take, by the same rule; of those that have a snapshot. Remembers two objects of each. */
async function newestGeneration(client: ReplicaClient, reader: ProvenanceReader, signal: AbortSignal) {
  const found = new Map<string, { snapshot?: StoredSnapshot; segment?: StoredSegment; lastAtMs: number }>()
  for await (const { key, size, modifiedAtMs } of client.list(GENERATIONS_PREFIX, signal)) {
    const name = parseKey(key)
    if (!name) continue
    const one = found.get(name.generation) ?? { lastAtMs: Number.NEGATIVE_INFINITY }
    found.set(name.generation, one)
    one.lastAtMs = Math.max(one.lastAtMs, modifiedAtMs)
    // Listings are in the order of keys, which is that of places.
    if (name.kind === 'snapshot') one.snapshot = { ...name, key, size, modifiedAtMs }
    else one.segment = { ...name, key, size, modifiedAtMs }
  }
  const written: Found[] = []
  for (const [generation, { snapshot, segment, lastAtMs }] of found) {
    if (!snapshot) continue
    const newest = segment && segment.index >= snapshot.index ? segment : snapshot
    written.push({ generation, snapshot, segment, newest, lastAtMs })
  }
  return written.length > 0 ? await reader.answer(lastWritten(written)) : undefined
}
