// What `litestream restore` says about each database on stdout: `-dry-run` for people, `-json` for programs. One JSON document for
// the whole command, also when a part of it failed:
//
//   {"databases": [{"database", "output", "status": "restored" | "planned" | "skipped" | "failed", "reason"?,
//     "replica"?, "url"?, "generation"?, "snapshot"?: {"index", "bytes"}, "segments"?, "bytes"?, "state"?, "position"?,
//     "databaseBytes"?, "replaces"?, "replacedAs"?, "obstacles"?}]}
//
// Sizes are bytes, `bytes` those fetched (compressed); `state` is the moment that the result stands for.

import { formatPosition } from '../model/position.js'
import { formatMoment } from '../model/target.js'
import type { RestorePlan } from '../plan/restore-plan.js'
import { bytesOf, type RestorePreview } from '../restore/preview.js'
import type { RestoreResult } from '../restore/restore.js'
import { formatBytes } from './progress.js'
import type { RestoreJob } from './restore-jobs.js'

export interface Report {
  readonly database: string | null
  readonly output: string
  readonly status: 'restored' | 'planned' | 'skipped' | 'failed'
  readonly reason?: string
  readonly [more: string]: unknown
}

const hex8 = (index: number): string => index.toString(16).padStart(8, '0')

const of = ({ database, outputPath }: RestoreJob) => ({ database: database ?? null, output: outputPath })

const planned = (plan: RestorePlan) => ({
  generation: plan.generation,
  snapshot: { index: hex8(plan.snapshot.index), bytes: plan.snapshot.size },
  segments: plan.segments.length,
  bytes: bytesOf(plan),
  state: formatMoment(plan.stateAtMs),
})

export function reportRestored(job: RestoreJob, result: RestoreResult): Report {
  const { plan, replica, position, pageSize, pageCount, replacedAs } = result
  return {
    ...of(job),
    status: 'restored',
    replica,
    ...planned(plan),
    position: formatPosition(position),
    databaseBytes: pageSize * pageCount,
    ...(replacedAs === undefined ? {} : { replacedAs }),
  }
}

/** A plan that something stands in the way of has failed. */
export function reportPlanned(job: RestoreJob, { plan, replica, url, ...preview }: RestorePreview): Report {
  const { databaseBytes, replaces, obstacles } = preview
  return {
    ...of(job),
    status: obstacles.length === 0 ? 'planned' : 'failed',
    ...(obstacles[0] === undefined ? {} : { reason: obstacles[0] }),
    replica,
    url,
    ...planned(plan),
    ...(databaseBytes === undefined ? {} : { databaseBytes }),
    replaces,
    obstacles,
  }
}

export function reportSkipped(job: RestoreJob, reason: string): Report {
  return { ...of(job), status: 'skipped', reason }
}

export function reportFailed(job: RestoreJob, reason: string): Report {
  return { ...of(job), status: 'failed', reason }
}

/** Several lines for a person. */
export function formatPreview(job: RestoreJob, preview: RestorePreview): string {
  const { plan, replica, url, databaseBytes, replaces, obstacles } = preview
  const { length } = plan.segments
  const size =
    databaseBytes === undefined ? 'known only after reading (not written by this program)' : formatBytes(databaseBytes)
  const place = replaces.length === 0 ? job.outputPath : `${job.outputPath}; moved aside: ${replaces.join(', ')}`
  const rows = [
    ['from', `replica ${replica} (${url}), generation ${plan.generation}`],
    ['leads to', formatMoment(plan.stateAtMs)],
    ['fetches', `snapshot ${hex8(plan.snapshot.index)} and ${length} segments, ${formatBytes(bytesOf(plan))}`],
    ['size', size],
    ['written to', place],
    ...(obstacles.length === 0 ? [['in the way', 'nothing']] : obstacles.map((one) => ['in the way', one])),
  ]
  const lines = rows.map(([name, text]) => `  ${(name as string).padEnd(10)}  ${text}\n`)
  return `${job.database ?? job.outputPath}\n${lines.join('')}`
}
