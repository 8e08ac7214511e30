// While a restore writes a long snapshot, the disk gets what was written so far: at the end a sync of everything would take as long again
// as a quarter of the restore. Unlike the hints that a daemon gives beside a busy application, a failure counts: the system tells of
// what did not get to the disk once, to whoever syncs first.

import type { RestoreOutput } from './pipeline.js'

const STEP_BYTES = 32 << 20

export class SyncAhead {
  private bytes = 0
  private running: Promise<void> | undefined

  constructor(private readonly file: Pick<RestoreOutput, 'datasync'>) {}

  /** Rejects when what was written before did not get to the disk. One sync at a time. */
  async wrote(bytes: number): Promise<void> {
    this.bytes += bytes
    if (this.bytes < STEP_BYTES) return
    this.bytes = 0
    await this.running
    this.running = this.file.datasync?.()
    this.running?.catch(() => {})
  }

  async end(): Promise<void> {
    await this.running
  }
}
