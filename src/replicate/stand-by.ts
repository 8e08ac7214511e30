// A writer that met another one and was told to stand by: looks at the replica now and then, and is due again when nothing has been
// written for long enough, or the other says that it has stopped. Meanwhile it tells whether the other one does its work: at each look
// something new has come into the replica, or the replica holds what our database holds.
//
// Taking over by mistake (an idle database writes nothing either) does no harm: both then claim the next key, and whoever loses
// stands by.

import type { Clock } from '../clock.js'
import { type Provenance, sameState } from '../model/provenance.js'
import type { ReplicaClient } from '../replica/client.js'
import { readCleanStop } from './clean-stop.js'
import { findResumePoint } from './resume-point.js'

const LOOKS_PER_SILENCE = 4

export class StandBy {
  private seen: string | undefined
  private seenAtMs: number
  /** Monotonic: the last moment of which it is known that the replica was up to date. */
  private freshAtMs: number
  /** Our database's state then, where it was compared. */
  private freshSource: Provenance['source'] | undefined

  constructor(
    private readonly client: ReplicaClient,
    private readonly clock: Clock,
    readonly silenceMs: number,
    /** The other writer, for people. */
    readonly other: string,
  ) {
    this.seenAtMs = clock.monotonic()
    this.freshAtMs = this.seenAtMs
  }

  /** For how long, beyond the pause between two looks, nothing has shown that the other writer does its work. */
  get overdueMs(): number {
    return Math.max(0, this.clock.monotonic() - this.freshAtMs - this.pauseMs)
  }

  /** Until the next look. */
  get pauseMs(): number {
    return this.silenceMs / LOOKS_PER_SILENCE
  }

  /** Why it is time to take over; undefined when it is not. `source` is what our database is, before anything is asked. */
  async look(source: Provenance['source'] | undefined, signal: AbortSignal): Promise<string | undefined> {
    const askedAtMs = this.clock.monotonic()
    const point = await findResumePoint(this.client, signal)
    const newest = point?.newestKey ?? ''
    if (newest !== '') {
      const mark = await readCleanStop(this.client, signal)
      if (mark?.newest === newest && mark.takenBy === undefined) return 'the other writer has stopped'
    }
    const isSame = source && [point?.provenance.source, this.freshSource].some((one) => one && sameState(one, source))
    if (isSame) this.freshSource = source
    if (isSame || newest !== this.seen) this.freshAtMs = askedAtMs
    const nowMs = this.clock.monotonic()
    if (newest !== this.seen) {
      this.seen = newest
      this.seenAtMs = nowMs
    }
    return nowMs - this.seenAtMs >= this.silenceMs ? 'nothing has been written for a while' : undefined
  }
}
