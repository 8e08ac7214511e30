// Whether an application leaves its WAL to grow: past the configured size, and no checkpoint was seen for a while. Pure.

export interface GrowthFacts {
  readonly frames: number
  readonly backfilled: number
  /** `max-checkpoint-page-count`; 0 turns the whole matter off. */
  readonly maxCheckpointPageCount: number
  /** Since a checkpoint was last seen to make progress, or the WAL was last small. */
  readonly sinceCheckpointMs: number
}

/** A busy application's own checkpoints come every few hundred milliseconds; an idle one has nothing to checkpoint. */
const PATIENCE_MS = 5000

export function growsUnchecked(facts: GrowthFacts): boolean {
  if (facts.maxCheckpointPageCount === 0 || facts.frames <= facts.maxCheckpointPageCount) return false
  return facts.backfilled < facts.frames && facts.sinceCheckpointMs >= PATIENCE_MS
}
