// What a replica holds at one position, as digests of its pages, and how that compares with another state. Everything that a restore
// checks is checked on the way: what cannot be restored is a failure with the object's name, what cannot be read is none.

import { isLitestreamError, LitestreamError } from '../errors.js'
import { generationPrefix } from '../model/layout.js'
import { formatPosition, type Position } from '../model/position.js'
import { buildTimelines, type GenerationTimeline, type ListedObject } from '../model/timeline.js'
import { planGeneration, type RestorePlan } from '../plan/restore-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import type { PageDigests } from '../replicate/page-digests.js'
import { PageDigester } from './page-digester.js'
import { restoreFile } from './pipeline.js'
import { ProvenanceReader } from './provenance-reader.js'

export interface DigestOptions {
  /** Called after every piece of work. */
  readonly breathe: () => Promise<void>
  readonly signal: AbortSignal
  readonly parallelism: number
  /** For digests that do not fit memory. */
  readonly directory?: string | undefined
}

const BUDGET_BYTES = 8 << 20

/** Restore what `plan` stands for, keeping the digests only, and compare. Throws CORRUPT when it cannot be restored. */
export async function comparePlan(
  source: PageDigests,
  client: ReplicaClient,
  plan: RestorePlan,
  { breathe, signal, parallelism, directory }: DigestOptions,
): Promise<Difference | undefined> {
  const output = await PageDigester.create(breathe, directory)
  try {
    await restoreFile(client, plan, output, { parallelism, signal, budgetBytes: BUDGET_BYTES })
    return compareDigests(source, output.finish())
  } finally {
    output.release()
  }
}

/**
 * The plan that restores exactly `position`, the end of what was acknowledged there. Throws CORRUPT where something that it needs is
 * missing, STORAGE where newer snapshots have taken its place.
 */
export async function planPosition(
  client: ReplicaClient,
  position: Position,
  signal: AbortSignal,
): Promise<RestorePlan> {
  const objects: ListedObject[] = []
  for await (const object of client.list(generationPrefix(position.generation), signal)) objects.push(object)
  const provenance = new ProvenanceReader(client, signal)
  const [whole] = buildTimelines(objects)
  const missing = (text: string) => new LitestreamError('CORRUPT', `generation ${position.generation}: ${text}`)
  if (!whole) throw missing('it is gone from the replica')
  const timeline = await upTo(whole, position, provenance)
  const outcome = await provenance.answer(planGeneration(timeline, { kind: 'latest' }))
  if ('refusal' in outcome) {
    // Retention may take what a newer snapshot has made superfluous.
    const superseded = whole.snapshots.some(({ index }) => index > position.index)
    if (superseded)
      throw new LitestreamError('STORAGE', 'newer snapshots have taken the place of what was to be compared')
    throw missing(outcome.refusal.message)
  }
  const { plan } = outcome
  const last = plan.segments.at(-1)
  if (position.offset > 0) {
    // One whose end cannot be read is damaged, which its restore tells better.
    const bytes = last && (await provenance.read(last))?.bytes
    const elsewhere = bytes !== undefined && last && last.offset + bytes !== position.offset
    if (last?.index !== position.index || elsewhere) {
      throw missing(`it ends with ${last?.key ?? 'its snapshot'} and not at ${formatPosition(position)}`)
    }
  }
  return plan
}

async function upTo(
  { generation, snapshots, segments, ...times }: GenerationTimeline,
  { index, offset }: Position,
  provenance: ProvenanceReader,
): Promise<GenerationTimeline> {
  const usable = snapshots.filter((snapshot) => snapshot.index <= index)
  const newest = usable.at(-1)
  // A snapshot whose overlay lies behind the position stands for a later state.
  if (newest?.index === index && ((await provenance.read(newest))?.overlayBytes ?? 0) > offset) usable.pop()
  const before = segments.filter(
    (segment) => segment.index < index || (segment.index === index && segment.offset < offset),
  )
  return { generation, snapshots: usable, segments: before, ...times }
}

export interface Difference {
  readonly sourcePageCount: number
  readonly replicaPageCount: number
  readonly differentPages: number
  /** The first of them. */
  readonly pages: readonly number[]
}

const PAGES_NAMED_MAX = 20

/** Undefined when they are the same. A page that only one of them has is different. */
function compareDigests(source: PageDigests, replica: PageDigests): Difference | undefined {
  const [sourcePageCount, replicaPageCount] = [source.pageCount, replica.pageCount]
  const pages: number[] = []
  let differentPages = 0
  const last = source.pageSize === replica.pageSize ? Math.max(sourcePageCount, replicaPageCount) : 0
  for (let page = 1; page <= last; page++) {
    if (source.get(page) === replica.get(page)) continue
    differentPages++
    if (pages.length < PAGES_NAMED_MAX) pages.push(page)
  }
  if (source.pageSize !== replica.pageSize) differentPages = sourcePageCount
  return differentPages > 0 ? { sourcePageCount, replicaPageCount, differentPages, pages } : undefined
}

export function describeDifference({ sourcePageCount, replicaPageCount, differentPages, pages }: Difference): string {
  const more = differentPages > pages.length ? ', …' : ''
  const which = pages.length > 0 ? ` (${pages.join(', ')}${more})` : ''
  const sizes = sourcePageCount === replicaPageCount ? '' : `; ${sourcePageCount} pages became ${replicaPageCount}`
  return `${differentPages} of ${sourcePageCount} pages differ${which}${sizes}`
}

/** A restore that failed because of what is in the replica, and not because it could not be read. */
export function isReplicaDamage(error: unknown): error is LitestreamError {
  return isLitestreamError(error, 'CORRUPT')
}
