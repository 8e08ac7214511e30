// Which of a replica's generations is the newest: the one rule for whoever restores and for whoever goes on. Pure; asks about objects
// as restore-plan does.
//
// - By the storage's times, which nobody sets back.
// - But an upload that its writer gave up, or that was under way when its writer died, may arrive long after what was written instead.
//   So a generation does not count before one whose newest object was seen later on the same boot of the same machine: that one holds
//   all that can have arrived late.
// - Some stores tell whole seconds: at a tie the moments of the states decide.

import { type Provenance, readBefore } from '../model/provenance.js'
import type { StoredObject } from '../model/timeline.js'
import { type Asking, momentIn } from './restore-plan.js'

/** A generation, as far as it matters which one is the newest. */
export interface Written {
  /** By place: the last segment, or the last snapshot where no segment follows it. */
  readonly newest: StoredObject
  /** The storage's newest time for anything in it. */
  readonly lastAtMs: number
}

/** An upload may arrive so long after what was written instead of it. */
const LATE_MS_MAX = 3_600_000

/** Of at least one. */
export function* lastWritten<W extends Written>(generations: readonly W[]): Asking<W> {
  const lastAtMs = generations.reduce((last, one) => Math.max(last, one.lastAtMs), Number.NEGATIVE_INFINITY)
  const recent = generations.filter((one) => one.lastAtMs >= lastAtMs - LATE_MS_MAX)
  if (recent.length === 1) return recent[0] as W
  const known: { one: W; said: Provenance | undefined }[] = []
  for (const one of recent) known.push({ one, said: yield one.newest })
  const isPassed = (said: Provenance | undefined): boolean =>
    known.some((later) => readBefore(said?.uptime, later.said?.uptime))
  const [best] = known
    .filter(({ said }) => !isPassed(said))
    .sort((a, b) => b.one.lastAtMs - a.one.lastAtMs || momentIn(b.one.newest, b.said) - momentIn(a.one.newest, a.said))
  return (best as (typeof known)[number]).one
}
