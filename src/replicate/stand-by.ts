// A writer that met another one and was told to stand by: looks at the replica now and then, and is due again when nothing has been
// written for long enough, or the other says that it has stopped.
//
// Taking over by mistake (an idle database writes nothing either) does no harm: both then claim the next key, and whoever loses
// stands by.

import type { Clock } from '../clock.js'
import type { ReplicaClient } from '../replica/client.js'
import { readCleanStop } from './clean-stop.js'
import { findResumePoint } from './resume-point.js'

const LOOKS_PER_SILENCE = 4

export class StandBy {
  private seen: string | undefined
  private seenAtMs: number

  constructor(
    private readonly client: ReplicaClient,
    private readonly clock: Clock,
    private readonly silenceMs: number,
  ) {
    this.seenAtMs = clock.monotonic()
  }

  /** Until the next look. */
  get pauseMs(): number {
    return this.silenceMs / LOOKS_PER_SILENCE
  }

  /** Why it is time to take over; undefined when it is not. */
  async look(signal: AbortSignal): Promise<string | undefined> {
    const point = await findResumePoint(this.client, signal)
    const newest = point?.newestKey ?? ''
    if (newest !== '') {
      const mark = await readCleanStop(this.client, signal)
      if (mark?.newest === newest && mark.takenBy === undefined) return 'the other writer has stopped'
    }
    const nowMs = this.clock.monotonic()
    if (newest !== this.seen) {
      this.seen = newest
      this.seenAtMs = nowMs
    }
    return nowMs - this.seenAtMs >= this.silenceMs ? 'nothing has been written for a while' : undefined
  }
}
