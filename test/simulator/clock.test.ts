// What the simulator found about clocks, as a short story.

import { expect, test } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import { Follower } from '../../src/replicate/follower.js'
import { WindowTurns } from '../../src/replicate/window.js'
import { ChunkPool } from '../../src/source/spool.js'
import { makeScene } from './scene.js'

test.each([-3_600_000, -2000, -500, 0, 3_600_000])(
  'a closed database is read although the clock was set by %d ms since it was written',
  async (jumpMs) => {
    const { scheduler, process, observer } = makeScene()
    scheduler.wallOffsetMs += jumpMs
    const follower = new Follower({
      path: '/db/app.db',
      monitorIntervalMs: 100,
      minCheckpointPageCount: 1000,
      maxCheckpointPageCount: 0,
      maxWalBytes: 1 << 20,
      allowCheckpoint: false,
      source: observer,
      pool: new ChunkPool(1 << 20),
      windowTurns: new WindowTurns(),
      clock: scheduler.clockOf(process),
      log: silentLogger,
    })
    follower.start()
    await scheduler.run(5000, () => follower.status === 'quiescent')
    expect(follower.status).toBe('quiescent')
    process.alive = false
  },
)
