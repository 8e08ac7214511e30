// What a replica holds, from its listing and from what single objects say of themselves: how big it is, and from when to when a
// database can be restored from it. Needs no daemon.

import { isLitestreamError } from '../errors.js'
import { GENERATIONS_PREFIX } from '../model/layout.js'
import { TimelineBuilder } from '../model/timeline.js'
import { chooseRestore } from '../plan/restore-choice.js'
import { momentOf } from '../plan/restore-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from './provenance-reader.js'
import { LISTINGS_AGAIN_MAX } from './select.js'

export interface ReplicaOverview {
  readonly objects: number
  /** Stored bytes. */
  readonly bytes: number
  readonly generations: number
  readonly snapshots: number
  /** Milliseconds since 1970: the newest snapshot and the newest object, by the storage's clock. */
  readonly lastSnapshotAtMs?: number | undefined
  readonly lastUploadAtMs?: number | undefined
  /** The oldest and newest moments that can be restored; absent when nothing can. */
  readonly oldestAtMs?: number | undefined
  readonly newestAtMs?: number | undefined
  /** Why the newest state cannot be restored. */
  readonly problem?: string | undefined
}

export async function overviewOf(client: ReplicaClient, signal?: AbortSignal): Promise<ReplicaOverview> {
  for (let listings = 0; ; listings++) {
    try {
      return await listed(client, signal)
    } catch (error) {
      // Retention may have deleted what was listed.
      if (!isLitestreamError(error, 'NOT_FOUND') || listings >= LISTINGS_AGAIN_MAX) throw error
    }
  }
}

async function listed(client: ReplicaClient, signal: AbortSignal | undefined): Promise<ReplicaOverview> {
  const builder = new TimelineBuilder()
  let objects = 0
  let bytes = 0
  let lastUploadAtMs: number | undefined
  for await (const object of client.list(GENERATIONS_PREFIX, signal)) {
    objects++
    bytes += object.size
    lastUploadAtMs = Math.max(lastUploadAtMs ?? object.modifiedAtMs, object.modifiedAtMs)
    builder.add(object)
  }
  const generations = builder.timelines()
  const reader = new ProvenanceReader(client, signal)
  const snapshots = generations.flatMap((generation) => generation.snapshots)
  const oldest: number[] = []
  for (const {
    snapshots: [first],
  } of generations)
    if (first) oldest.push(await reader.answer(momentOf(first)))

  const planner = chooseRestore([{ replica: client.url, generations }], { kind: 'latest' })
  let step = planner.next()
  while (!step.done) step = planner.next(await reader.read(step.value.object))
  const { planned, refused } = step.value
  const newestAtMs = planned[0]?.plan.stateAtMs
  return {
    objects,
    bytes,
    generations: generations.length,
    snapshots: snapshots.length,
    lastSnapshotAtMs: maxOf(snapshots.map(({ modifiedAtMs }) => modifiedAtMs)),
    lastUploadAtMs,
    oldestAtMs: newestAtMs === undefined ? undefined : oldest.reduce((a, b) => Math.min(a, b)),
    newestAtMs,
    problem: refused[0]?.refusal.message,
  }
}

const maxOf = (times: readonly number[]): number | undefined =>
  times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b))
