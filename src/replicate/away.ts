// A key says that nobody has taken it only as long as nobody deletes it again, and retention does: what a writer that has gone on with
// the generation wrote, long after. So whoever was away for as long as that may take looks before he claims, whether a snapshot of a
// higher index is there: retention leaves one behind whatever it takes away. One listing of a generation's snapshots, after a pause.
//
// Where there is none at all, the generation was deleted as a whole: the retention of another writer, whose own generation is newer,
// cannot tell a writer that is idle from one that is gone. What would be written behind it could never be restored.

import { elapsedMs, present, type TimerClock } from '../clock.js'
import { parseKey, snapshotsPrefix } from '../model/layout.js'
import type { Moment } from '../plan/snapshot-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'
import { WriterConflict } from './claim.js'

export interface AwayOptions {
  readonly client: ReplicaClient
  readonly clock: TimerClock
  /** So long after a claim, or a look, nobody else can have gone on and deleted what he had written. */
  readonly certainForMs: number
}

export class Away {
  private certainAt: Moment | undefined
  private snapshotAt: Moment | undefined

  constructor(private readonly options: AwayOptions) {}

  /** At `moment` nobody else had gone on; undefined when that was never seen. */
  heardOf(moment: Moment | undefined): void {
    this.certainAt = moment
  }

  /** The generation has a snapshot, which some stores list only after a while. */
  snapshotSeen(): void {
    this.snapshotAt = present(this.options.clock)
  }

  /** Before something is written to `index`. Throws WriterConflict when somebody was there. */
  async look(generation: string, index: number, signal: AbortSignal): Promise<void> {
    const { client, clock, certainForMs } = this.options
    const { certainAt, snapshotAt } = this
    const now = present(clock)
    if (certainAt && elapsedMs(certainAt, now) < certainForMs) return
    let snapshots = 0
    for await (const info of client.list(snapshotsPrefix(generation), signal)) {
      snapshots++
      if ((parseKey(info.key)?.index ?? 0) <= index) continue
      throw new WriterConflict(info.key, await new ProvenanceReader(client, signal).read(info), undefined)
    }
    if (snapshots > 0) this.snapshotAt = now
    else if (snapshotAt && elapsedMs(snapshotAt, now) >= certainForMs) {
      throw new WriterConflict(snapshotsPrefix(generation), undefined, undefined, 'whoever has deleted its snapshots')
    }
    this.certainAt = now
  }
}
