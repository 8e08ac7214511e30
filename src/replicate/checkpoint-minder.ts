// Watches whether the application checkpoints at all. Where it does not, its WAL grows for ever: say so, or, where that is allowed
// and possible, checkpoint for it.

import type { Clock } from '../clock.js'
import type { Logger } from '../logger.js'
import { growsUnchecked } from '../plan/checkpoint-plan.js'
import type { LiveDatabase } from '../source/live-database.js'
import type { Source } from '../source/source.js'
import type { WalIndexHeader } from '../sqlite/wal-index.js'
import type { SourceStats } from './source-stats.js'

export interface CheckpointMinderOptions {
  /** Frames; 0 turns it off. */
  readonly maxCheckpointPageCount: number
  readonly allowCheckpoint: boolean
  readonly source: Pick<Source, 'passiveCheckpoint'>
  readonly clock: Clock
  readonly log: Logger
}

export class CheckpointMinder {
  private seen = { backfilled: 0, atMs: 0, told: false }

  constructor(
    private readonly options: CheckpointMinderOptions,
    private readonly stats: SourceStats,
  ) {}

  /** Once after every look. True when the pin was let go and a checkpoint was run: look again then. */
  async mind(live: LiveDatabase, header: WalIndexHeader, nowMs: number): Promise<boolean> {
    const { maxCheckpointPageCount, allowCheckpoint, source, log } = this.options
    const { mxFrame: frames, backfilled } = header
    const { seen } = this
    if (backfilled !== seen.backfilled || frames <= maxCheckpointPageCount) {
      this.seen = { backfilled, atMs: nowMs, told: false }
      return false
    }
    const sinceCheckpointMs = nowMs - seen.atMs
    if (!growsUnchecked({ frames, backfilled, maxCheckpointPageCount, sinceCheckpointMs })) return false
    const writable = live.files.shmWritable
    if (!allowCheckpoint || !writable) {
      const remedy = `checkpoint in the application${writable ? ', or set allow-checkpoint' : ''}`
      if (!seen.told) log.warn('the WAL grows because the application never checkpoints', { frames, remedy })
      seen.told = true
      return false
    }
    // Without the pin, as in a window; nobody else checkpoints, so at most one restart follows.
    live.releasePin()
    seen.atMs = nowMs
    const startMs = this.options.clock.monotonic()
    try {
      this.stats.checkpoints++
      const result = await source.passiveCheckpoint(live.files.path)
      log.info('checkpoint', { mode: 'PASSIVE', frames: result.log, checkpointed: result.checkpointed })
    } catch (error) {
      this.stats.checkpointErrors++
      log.error('checkpoint', { error })
    }
    this.stats.checkpointMs += this.options.clock.monotonic() - startMs
    return true
  }
}
