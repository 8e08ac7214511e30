// Which replica can give the state that is wanted: lists every replica, lets the pure planner ask about single objects, and reports
// the replicas that cannot serve. One that fails does not matter as long as another one can serve.
//
// A daemon may be at work on the replica, and its retention deletes what a listing has just named: then that replica is listed again.

import { isLitestreamError, LitestreamError } from '../errors.js'
import { GENERATIONS_PREFIX, generationPrefix } from '../model/layout.js'
import type { RestoreTarget } from '../model/target.js'
import { type GenerationTimeline, TimelineBuilder } from '../model/timeline.js'
import { chooseRestore, type PlannedReplica, type RestoreChoice } from '../plan/restore-choice.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from './provenance-reader.js'

export interface NamedReplica {
  readonly name: string
  readonly client: ReplicaClient
}

/** A replica that can be read, with what is in it. */
export interface OpenedReplica extends NamedReplica {
  readonly provenance: ProvenanceReader
  readonly generations: readonly GenerationTimeline[]
}

export interface Selection {
  /** Best first; empty when there is nothing to restore from. */
  readonly usable: readonly PlannedReplica<OpenedReplica>[]
  /** Replicas that could not serve, with the reason. */
  readonly failed: readonly { readonly replica: string; readonly error: unknown }[]
}

/** More than this, and it is the store that names what it has not. */
export const LISTINGS_AGAIN_MAX = 3

/** Rejects with the reason of the first replica when none can serve, but some hold or may hold something. */
export async function selectReplica(
  replicas: readonly NamedReplica[],
  target: RestoreTarget,
  generation: string | undefined,
  signal?: AbortSignal,
): Promise<Selection> {
  const failed: { replica: string; error: unknown }[] = []
  const listings = await Promise.allSettled(replicas.map(({ client }) => listGenerations(client, generation, signal)))
  signal?.throwIfAborted()
  let opened: OpenedReplica[] = []
  for (const [place, replica] of replicas.entries()) {
    const listing = listings[place] as PromiseSettledResult<GenerationTimeline[]>
    if (listing.status === 'rejected') failed.push({ replica: replica.name, error: listing.reason })
    else opened.push(withListing(replica, listing.value, signal))
  }

  let listingsLeft = LISTINGS_AGAIN_MAX
  let choice: RestoreChoice<OpenedReplica> | undefined
  while (!choice) {
    const outcome = await answer(opened, target)
    signal?.throwIfAborted()
    if ('choice' in outcome) {
      choice = outcome.choice
      continue
    }
    const { replica, error } = outcome
    try {
      if (!isLitestreamError(error, 'NOT_FOUND') || listingsLeft-- === 0) throw error
      const listing = await listGenerations(replica.client, generation, signal)
      opened = opened.map((one) => (one === replica ? withListing(one, listing, signal) : one))
    } catch (reason) {
      failed.push({ replica: replica.name, error: reason })
      opened = opened.filter((one) => one !== replica)
    }
  }
  for (const { replica, refusal } of choice.refused) {
    const error = new LitestreamError(refusal.code, `replica ${replica.name}: ${refusal.message}`)
    failed.push({ replica: replica.name, error })
  }
  if (choice.planned.length === 0 && failed[0]) throw failed[0].error
  return { usable: choice.planned, failed }
}

function withListing(
  { name, client }: NamedReplica,
  generations: readonly GenerationTimeline[],
  signal: AbortSignal | undefined,
): OpenedReplica {
  return { name, client, provenance: new ProvenanceReader(client, signal), generations }
}

async function listGenerations(
  client: ReplicaClient,
  generation: string | undefined,
  signal: AbortSignal | undefined,
): Promise<GenerationTimeline[]> {
  const prefix = generation === undefined ? GENERATIONS_PREFIX : generationPrefix(generation)
  const builder = new TimelineBuilder()
  for await (const object of client.list(prefix, signal)) builder.add(object)
  return builder.timelines()
}

type Answered =
  | { readonly choice: RestoreChoice<OpenedReplica> }
  | { readonly replica: OpenedReplica; readonly error: unknown }

/** Run the planner, answering its questions. A question that cannot be answered ends it with that replica's failure. */
async function answer(opened: readonly OpenedReplica[], target: RestoreTarget): Promise<Answered> {
  const planner = chooseRestore(
    opened.map((replica) => ({ replica, generations: replica.generations })),
    target,
  )
  let step = planner.next()
  while (!step.done) {
    const { replica, object } = step.value
    try {
      step = planner.next(await replica.provenance.read(object))
    } catch (error) {
      return { replica, error }
    }
  }
  return { choice: step.value }
}
