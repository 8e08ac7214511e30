// One retention check of a replica, as the daemon makes it, in a process of its own.

import { systemClock } from '../src/clock.js'
import { silentLogger } from '../src/logger.js'
import { openReplica, type ReplicaTarget } from '../src/replica/open.js'
import { Retention } from '../src/replicate/retention.js'
import { serve } from '../test/support/observer/serve.js'

interface Check {
  readonly target: ReplicaTarget
  /** The one that the daemon writes. */
  readonly generation: string
  readonly retentionMs: number
}

serve({
  /** Resolves with seconds. */
  async check({ target, generation, retentionMs }: Check): Promise<number> {
    let failed: unknown
    const log = {
      ...silentLogger,
      error(_: string, attributes?: { error?: unknown }) {
        failed = attributes?.error
      },
    }
    const client = await openReplica(target)
    const ownGeneration = { generation, firstIndex: 0, snapshotIndex: Number.POSITIVE_INFINITY }
    const shipper = { ownGeneration, uploads: 1, beginAnew: () => {} }
    const retention = new Retention(shipper, { client, retentionMs, checkIntervalMs: 1, clock: systemClock, log })
    const beganMs = performance.now()
    await retention.check()
    const seconds = (performance.now() - beganMs) / 1000
    await client.close()
    if (failed) throw failed
    return seconds
  },
})
