// The promise of the whole program: nothing on the database's volume is created, written, renamed or deleted. And the trap beside it:
// no descriptor of the database is closed by our process while it observes, because that would drop SQLite's locks.

import { rmSync, statSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import { makeScene, type Observer } from '../support/observer/scene.js'
import { listVolume, locksOf } from '../support/observer/volume.js'

/** Some copies and many looks. */
async function exercise(observer: Observer): Promise<void> {
  await observer.untilComplete()
  for (let i = 0; i < 3; i++) await observer.copyAgain()
}

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test.for(['idle', 'closed', 'killed', 'killed, -shm lost', 'not in WAL mode', 'foreign'] as const)(
    'nothing is touched: %s',
    async (state, context) => {
      needNamespaces(context, mount)
      const scene = makeScene()
      const application = await scene.application({ autoCheckpoint: 0 })
      await application.load({ forMs: 50, paceMs: 1, pattern: 'rows' })
      if (state === 'closed') await application.close()
      if (state === 'not in WAL mode') await application.run('pragma journal_mode = delete')
      if (state.startsWith('killed')) await application.kill()
      if (state === 'killed, -shm lost') rmSync(`${scene.path}-shm`)
      if (state === 'foreign') {
        await application.close()
        writeFileSync(scene.path, 'x'.repeat(5000))
      }
      const list = () => listVolume(scene.volume, mount === 'writable')
      const before = list()
      const observer = await scene.observer(mount, { monitorIntervalMs: 10 })
      // Of a killed application's database SQLite makes the wal-index anew for us, where it can: on a writable mount.
      const observable = state === 'idle' || state === 'closed' || (state === 'killed' && mount === 'writable')
      if (observable) await exercise(observer)
      else await observer.until('several looks', ({ status, looks }) => status === 'waiting' && looks > 10)
      expect(list()).toEqual(before)
      await observer.stop()
      await observer.child.kill()
      expect(list()).toEqual(before)
    },
  )

  test('an application that is being written to keeps its files', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application({ autoCheckpoint: 100 })
    await application.load({ forMs: 50, paceMs: 1, pattern: 'rows' })
    const observer = await scene.observer(mount)
    await observer.untilComplete()
    const inodes = () =>
      Object.entries(listVolume(scene.volume)).map(([name, { ino, owner, mode }]) => [name, ino, owner, mode])
    const before = inodes()
    await application.load({ forMs: 1000, paceMs: 1, pattern: 'rows' })
    expect(inodes()).toEqual(before)
    await observer.stop()
    expect(inodes()).toEqual(before)
  })

  test('the locks of SQLite survive every look', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application({ autoCheckpoint: 0 })
    await application.load({ forMs: 50, paceMs: 1, pattern: 'rows' })
    const observer = await scene.observer(mount, { monitorIntervalMs: 10 })
    await observer.untilComplete()
    const shm = statSync(`${scene.path}-shm`, { bigint: true }).ino
    const deadManSwitch = () => locksOf(observer.child.pid, shm).filter((line) => line.endsWith(' 128 128'))
    expect(deadManSwitch()).toHaveLength(1)
    for (let i = 0; i < 5; i++) {
      await application.load({ forMs: 60, paceMs: 2, pattern: 'rows' })
      await observer.copyAgain()
      expect(deadManSwitch()).toHaveLength(1)
    }
    // After a checkpoint that finished, the pin on the database file is held while nothing happens.
    await application.pragma('wal_checkpoint(RESTART)')
    const database = statSync(scene.path, { bigint: true }).ino
    await observer.until('the look after the checkpoint', ({ complete }) => complete)
    await expect.poll(() => locksOf(observer.child.pid, database).length).toBeGreaterThan(0)
    await observer.stop()
    expect(locksOf(observer.child.pid, shm)).toEqual([])
    expect(locksOf(observer.child.pid, database)).toEqual([])
  })
})
