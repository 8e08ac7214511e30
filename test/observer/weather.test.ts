// What can happen to a database besides being written: it is missing, foreign, half there, left behind, replaced. The follower says
// what is wrong, goes on by itself when it is right again, and never loses the truth in between.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import type { ObserverReport } from '../support/observer/observer-child.js'
import { type Application, differingPages, makeScene, type Observer, type Scene } from '../support/observer/scene.js'

const waiting = (words: string) => (report: ObserverReport) =>
  report.status === 'waiting' && report.reason.includes(words) && !report.complete
const missing = ({ status, complete }: ObserverReport) => status === 'missing' && !complete
const quiescent = ({ status, complete }: ObserverReport) => status === 'quiescent' && complete
const attached = ({ status, complete }: ObserverReport) => status === 'attached' && complete
const observing = { monitorIntervalMs: 30 }

/** A closed database in WAL mode with something in it. */
async function makeDatabase(scene: Scene): Promise<void> {
  const application = await scene.application()
  await application.load({ forMs: 30, paceMs: 0, pattern: 'rows' })
  await application.close()
}

/** The observer follows once more, and what it has is the database. */
async function expectExact(application: Application, observer: Observer): Promise<void> {
  await application.load({ forMs: 60, paceMs: 2, pattern: 'rows' })
  await observer.until('it to follow', attached)
  const { report, contents } = await observer.stop()
  expect(report.unexpected).toEqual([])
  expect(differingPages(await application.contents(), contents)).toEqual([])
}

/** The bytes of the closed database are what the observer has. */
async function expectExactFile(scene: Scene, observer: Observer): Promise<void> {
  await observer.until('it to have the closed database', quiescent)
  const { report, contents } = await observer.stop()
  expect(report.unexpected).toEqual([])
  expect(differingPages(readFileSync(scene.path), contents)).toEqual([])
}

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test('missing, and then there', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const observer = await scene.observer(mount, observing)
    await observer.until('it to be missing', missing)
    await expectExact(await scene.application(), observer)
  })

  test('its directory missing, and then there', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const folder = join(scene.volume, 'folder')
    const path = join(folder, 'app.db')
    const observer = await scene.observer(mount, { ...observing, path })
    await observer.until('it to be missing', missing)
    mkdirSync(folder)
    await expectExact(await scene.application({ path }), observer)
  })

  test('its directory removed while it is followed, and made anew', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const folder = join(scene.volume, 'folder')
    const path = join(folder, 'app.db')
    mkdirSync(folder)
    const first = await scene.application({ path })
    const observer = await scene.observer(mount, { ...observing, path })
    await observer.until('it to follow', attached)
    rmSync(folder, { recursive: true })
    await observer.until('it to be missing', missing)
    await first.kill()
    mkdirSync(folder)
    await expectExact(await scene.application({ path }), observer)
  })

  test('closed, and opened again', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    const observer = await scene.observer(mount, observing)
    await observer.until('it to have the closed database', quiescent)
    expect(differingPages(readFileSync(scene.path), await observer.contents())).toEqual([])
    const application = await scene.application()
    await application.load({ forMs: 60, paceMs: 2, pattern: 'rows' })
    await observer.until('it to follow', attached)
    const { losses, copies } = await observer.report()
    // It came along: what it had of the closed file still counted.
    expect({ losses, copies }).toEqual({ losses: [], copies: 1 })
    await expectExact(application, observer)
  })

  test('opened, written and closed at once', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    const observer = await scene.observer(mount, { monitorIntervalMs: 1000 })
    await observer.until('it to have the closed database', quiescent)
    await makeDatabase(scene)
    // Either we came in time and hold the WAL, or the file was changed behind our back and is copied anew.
    await observer.until('it to be noticed', ({ status, losses }) => status === 'attached' || losses.length > 0)
    await observer.untilComplete()
    const { contents } = await observer.stop()
    expect(differingPages(await (await scene.application()).contents(), contents)).toEqual([])
  })

  test('the application closes and reopens while it is followed', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const first = await scene.application()
    await first.load({ forMs: 50, paceMs: 2, pattern: 'rows' })
    const observer = await scene.observer(mount, observing)
    await observer.until('it to follow', attached)
    await first.close()
    expect(existsSync(`${scene.path}-wal`)).toBe(true)
    await expectExact(await scene.application(), observer)
  })

  test('replaced by another file while it is closed', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    const observer = await scene.observer(mount, observing)
    await observer.until('it to have the closed database', quiescent)
    const other = join(scene.volume, 'other.db')
    const application = await scene.application({ path: other })
    await application.load({ forMs: 100, paceMs: 0, pattern: 'rows' })
    await application.close()
    renameSync(other, scene.path)
    await observer.until('the loss to be told', ({ losses }) => losses.length > 0)
    await expectExactFile(scene, observer)
  })

  // At rest for so long, only the directory is looked at.
  test.for([0, 1500])('replaced by another file while it is followed, at rest for %i ms', async (restMs, context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const first = await scene.application()
    await first.load({ forMs: 50, paceMs: 2, pattern: 'rows' })
    const observer = await scene.observer(mount, observing)
    await observer.until('it to follow', attached)
    const other = join(scene.volume, 'other.db')
    const second = await scene.application({ path: other })
    await second.load({ forMs: 100, paceMs: 0, pattern: 'rows' })
    await second.close()
    // As a careful restore does it: the application stops, nothing of the old database is left.
    await first.kill()
    await sleep(restMs)
    expect((await observer.report()).losses).toEqual([])
    for (const suffix of ['-wal', '-shm']) rmSync(scene.path + suffix)
    renameSync(other, scene.path)
    await observer.until('the loss to be told', ({ losses }) => losses.length > 0)
    await expectExact(await scene.application(), observer)
  })

  test('truncated to nothing while it is closed, and written anew', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    const observer = await scene.observer(mount, observing)
    await observer.until('it to have the closed database', quiescent)
    truncateSync(scene.path, 0)
    await observer.until('it to be empty', waiting('is empty so far'))
    await expectExact(await scene.application(), observer)
  })

  test('not SQLite, and then a database', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    writeFileSync(scene.path, 'this is a text about databases\n'.repeat(100))
    const observer = await scene.observer(mount, observing)
    await observer.until('it to be foreign', waiting('is not a SQLite database'))
    rmSync(scene.path)
    await expectExact(await scene.application(), observer)
  })

  test('a directory in its place', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    mkdirSync(scene.path)
    const observer = await scene.observer(mount, observing)
    await observer.until('it to be a directory', waiting('is not a regular file'))
    rmSync(scene.path, { recursive: true })
    await expectExact(await scene.application(), observer)
  })

  test('not in WAL mode, and then in it', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application()
    await application.run('pragma journal_mode = delete')
    await application.run("insert into t(b) values('a')")
    const observer = await scene.observer(mount, observing)
    await observer.until('the mode to be told', waiting('is not in WAL mode'))
    await application.run('pragma journal_mode = wal')
    await expectExact(application, observer)
  })

  test('a transaction with a rollback journal under way', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    const application = await scene.application()
    await application.run('pragma journal_mode = delete')
    await application.run('pragma cache_size = 1; begin immediate; update t set b = randomblob(300)')
    expect(existsSync(`${scene.path}-journal`)).toBe(true)
    const observer = await scene.observer(mount, observing)
    await observer.until('the journal to be told', waiting('rollback journal'))
    await application.run('commit; pragma journal_mode = wal')
    await expectExact(application, observer)
  })

  test('a WAL of a dead application without its wal-index', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const victim = await scene.application({ autoCheckpoint: 0 })
    await victim.load({ forMs: 50, paceMs: 2, pattern: 'rows' })
    await victim.kill()
    rmSync(`${scene.path}-shm`)
    const observer = await scene.observer(mount, observing)
    await observer.until('the commits to be waited for', waiting('-wal holds commits'))
    expect(existsSync(`${scene.path}-shm`)).toBe(false)
    await expectExact(await scene.application(), observer)
  })

  test('a WAL of a dead application with its wal-index', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const victim = await scene.application({ autoCheckpoint: 0 })
    await victim.load({ forMs: 50, paceMs: 2, pattern: 'rows' })
    await victim.kill()
    const files = () => ['', '-wal'].map((suffix) => readFileSync(scene.path + suffix))
    const before = files()
    const observer = await scene.observer(mount, observing)
    if (mount === 'read-only') {
      await observer.until('it to be waited for', waiting('no application has the database open'))
    } else {
      // SQLite recovers the wal-index for us, and nothing else.
      await observer.until('it to follow', attached)
    }
    expect(files()).toEqual(before)
    await expectExact(await scene.application(), observer)
  })

  test('an empty WAL of a dead application', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const victim = await scene.application()
    await victim.load({ forMs: 50, paceMs: 2, pattern: 'rows' })
    await victim.pragma('wal_checkpoint(TRUNCATE)')
    await victim.kill()
    const observer = await scene.observer(mount, observing)
    await observer.untilComplete()
    expect(differingPages(readFileSync(scene.path), await observer.contents())).toEqual([])
    await expectExact(await scene.application(), observer)
  })

  test('unreadable, and then readable', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await makeDatabase(scene)
    chmodSync(scene.path, 0)
    const observer = await scene.observer(mount, observing, true)
    await observer.until('it to be told', waiting('cannot open'))
    chmodSync(scene.path, 0o600)
    await expectExact(await scene.application(), observer)
  })

  test('the same database under two names of one process is refused once', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application()
    const tracker = await scene.child('support/observer/tracker-child.ts', mount)
    await tracker.call('attach', scene.path)
    await expect(tracker.call('attach', join(scene.volume, '..', 'volume', 'app.db'))).rejects.toThrow(
      'configure it once',
    )
    await application.run("insert into t(b) values('a')")
    expect(await tracker.call('attached')).toBe(true)
  })
})
