// Histories that made earlier rules of the observer call a wrong state proven. Each says what it tries; the tracker may lose continuity,
// and it must where nothing proves it, but it never claims a state that is not the database.

import { spawn, spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MOUNTS, namespaceCommand, needNamespaces, startChild } from '../support/observer/child.js'
import { childProgram } from '../support/observer/child-program.js'
import { killInFsync } from '../support/observer/kill-in-fsync.js'
import type { ObserverReport } from '../support/observer/observer-child.js'
import { differingPages, makeScene } from '../support/observer/scene.js'
import { startTracker } from '../support/observer/tracker.js'

const fine = { pinned: true, attached: true, anchored: true }

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test('a ghost does not stand in for a commit of a cycle that nobody saw', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const holder = await scene.application({ autoCheckpoint: 0 })
    await holder.run("insert into t(id, b) values(1, 'base')")
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    await tracker.load(await holder.contents())
    const { frames } = await tracker.cursor()
    await tracker.releasePin()
    const killed = killInFsync(context, scene.directory, 1)
    const victim = await scene.application({ autoCheckpoint: 0, synchronous: 'full' }, killed)
    await expect(victim.run("insert into t(id, b) values(2, 'ghost')")).rejects.toThrow('SIGKILL')
    // The commit is in the WAL and was never published.
    expect((await tracker.header()).mxFrame).toBe(frames)
    await holder.pragma('wal_checkpoint(RESTART)')
    await holder.run("insert into u(id, b) values(1, 'missed')")
    await holder.pragma('wal_checkpoint(RESTART)')
    await holder.run("insert into t(id, b) values(3, 'new')")
    expect(await tracker.takePin()).toBe(true)
    expect(await tracker.look()).toEqual({ outcome: 'lost', reason: 'the WAL was restarted more than once' })
  })

  test('a ghost at the end of a cycle is left out when its restart is crossed', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const holder = await scene.application({ autoCheckpoint: 0 })
    await holder.run("insert into t(id, b) values(1, 'base')")
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    await tracker.load(await holder.contents())
    await tracker.releasePin()
    await holder.run("insert into t(id, b) values(2, 'real')")
    const killed = killInFsync(context, scene.directory, 1)
    const victim = await scene.application({ autoCheckpoint: 0, synchronous: 'full' }, killed)
    await expect(victim.run("insert into t(id, b) values(3, 'ghost')")).rejects.toThrow('SIGKILL')
    await holder.pragma('wal_checkpoint(RESTART)')
    await holder.run("insert into t(id, b) values(4, 'new')")
    expect(await tracker.takePin()).toBe(true)
    expect(await tracker.look()).toEqual({ outcome: 'moved' })
    expect(differingPages(await holder.contents(), await tracker.contents())).toEqual([])
    expect(await holder.get('select group_concat(id) from t')).toBe('1,2,4')
  })

  test('a ghost behind the cursor is not read while its cycle lasts, nor once a real commit covers it', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const holder = await scene.application({ autoCheckpoint: 0 })
    await holder.run("insert into t(id, b) values(1, 'base')")
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    await tracker.load(await holder.contents())
    const killed = killInFsync(context, scene.directory, 1)
    const victim = await scene.application({ autoCheckpoint: 0, synchronous: 'full' }, killed)
    await expect(victim.run('insert into t(id, b) values(2, zeroblob(9000))')).rejects.toThrow('SIGKILL')
    expect(await tracker.look()).toEqual({ outcome: 'current' })
    await holder.run("insert into u(id, b) values(1, 'covers it')")
    expect(await tracker.look()).toEqual({ outcome: 'moved' })
    expect(differingPages(await holder.contents(), await tracker.contents())).toEqual([])
  })

  test('an application that was closed and started again counts from zero: resuming is refused', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    await (await scene.application()).close()
    const first = await scene.application()
    const tracker = await startTracker(scene, mount)
    expect(await first.get('select count(*) from t')).toBe(0)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    const contents = await first.contents()
    const cursor = await tracker.cursor()
    await tracker.close()
    await first.run("insert into u(id, b) values(1, 'missed')")
    await first.run("insert into u(id, b) values(2, 'missed')")
    await first.close()
    const second = await scene.application()
    await second.run("insert into t(id, b) values(1, 'new')")
    await second.run("insert into t(id, b) values(2, 'new')")
    expect(await tracker.attach(scene.path)).toEqual(fine)
    expect(await tracker.resume(contents, cursor)).toEqual(expect.any(String))
  })

  test('an application that was killed and starts in the same way each time: resuming is refused', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const startUp = async () => {
      const application = await scene.application()
      for (let i = 0; i < 3; i++) await application.run("insert into t(b) values('start')")
      await application.pragma('wal_checkpoint(TRUNCATE)')
      return application
    }
    const first = await startUp()
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    const contents = await first.contents()
    const cursor = await tracker.cursor()
    await tracker.close()
    for (let i = 0; i < 4; i++) await first.run("insert into u(b) values('missed')")
    await first.kill()
    const second = await startUp()
    for (let i = 0; i < 4; i++) await second.run("insert into t(b) values('new')")
    expect(await tracker.attach(scene.path)).toEqual(fine)
    expect(await tracker.resume(contents, cursor)).toEqual(expect.any(String))
  })

  test('resuming inside the same cycle is proven and exact', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application({ autoCheckpoint: 0 })
    await application.run("insert into t(id, b) values(1, 'base')")
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    const contents = await application.contents()
    const cursor = await tracker.cursor()
    await tracker.close()
    await application.run('insert into t(id, b) values(2, zeroblob(20000))')
    expect(await tracker.attach(scene.path)).toEqual(fine)
    expect(await tracker.resume(contents, cursor)).toBe(true)
    expect(differingPages(await application.contents(), await tracker.contents())).toEqual([])
    // The same place with another history before it.
    const other = { ...cursor, checksum1: cursor.checksum1 ^ 1 }
    expect(await tracker.resume(contents, other)).toEqual(expect.any(String))
  })

  test('commits that change nothing look like padding and are followed exactly', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const application = await scene.application({ autoCheckpoint: 0 })
    await application.run("insert into t(id, b) values(1, 'a')")
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    await tracker.load(await application.contents())
    const still = [
      "replace into t(id, b) values(1, 'a')",
      'pragma user_version = 7',
      'pragma application_id = 7',
      'begin; insert into t(id, b) values(9, 9); delete from t where id = 9; commit',
      'update t set b = b',
      'begin immediate; commit',
    ]
    for (const sql of still) {
      for (let i = 0; i < 3; i++) await application.run(sql)
      expect((await tracker.look()).outcome).not.toBe('wait')
      expect(differingPages(await application.contents(), await tracker.contents())).toEqual([])
    }
    await tracker.releasePin()
    for (const sql of still) await application.run(`${sql}; ${sql}`)
    await application.pragma('wal_checkpoint(RESTART)')
    for (const sql of still) await application.run(`${sql}; ${sql}`)
    expect(await tracker.takePin()).toBe(true)
    // This source was seen not to pad, so its repeated commits are commits.
    expect(await tracker.look()).toEqual({ outcome: 'moved' })
    expect(differingPages(await application.contents(), await tracker.contents())).toEqual([])
  })

  test('padded commits are followed in their cycle and not counted across a restart', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const script = `
import sqlite3, sys
db = sqlite3.connect('file:${scene.path}?psow=0', uri=True, isolation_level=None)
db.execute('pragma page_size = 512'); db.execute('pragma journal_mode = wal')
db.execute('pragma synchronous = full'); db.execute('pragma wal_autocheckpoint = 0')
for line in sys.stdin:
    db.execute(line.strip()).fetchall()
    print('done', flush=True)
`
    const python = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void python.kill('SIGKILL'))
    const failed = new Promise<never>((_, reject) => python.on('error', reject))
    if (spawnSync('python3', ['-c', 'import sqlite3']).status !== 0) {
      if (process.env.CI) throw new Error('this test needs python3, whose SQLite takes file names as URIs')
      context.skip('needs python3, whose SQLite takes file names as URIs')
    }
    const run = async (sql: string) => {
      const answer = new Promise((resolve) => python.stdout.once('data', resolve))
      python.stdin.write(`${sql}\n`)
      await Promise.race([answer, failed])
    }
    await run('create table p(x)')
    await run('insert into p values(1)')
    const reader = await scene.application()
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toEqual(fine)
    await tracker.load(await reader.contents())
    const before = await tracker.header()
    await run('insert into p values(2)')
    const after = await tracker.header()
    // One commit, several commit frames: without this there is no padding, and no test.
    expect(after.iChange - before.iChange).toBe(1)
    expect(after.mxFrame - before.mxFrame).toBeGreaterThan(1)
    expect(await tracker.look()).toEqual({ outcome: 'moved' })
    expect(differingPages(await reader.contents(), await tracker.contents())).toEqual([])
    await tracker.releasePin()
    await run('insert into p values(3)')
    await run('pragma wal_checkpoint(restart)')
    await run('insert into p values(4)')
    expect(await tracker.takePin()).toBe(true)
    const look = await tracker.look()
    expect(look).toEqual({ outcome: 'lost', reason: 'the WAL was restarted and its commit marks are padded' })
  })

  test('exclusive locking over a stale wal-index: never attached, never in sync', async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const first = await scene.application()
    await first.run("insert into t(id, b) values(1, 'a')")
    await first.kill()
    const second = await scene.application({ exclusive: true })
    for (let i = 0; i < 5; i++) await second.run("insert into t(b) values('exclusive')")
    const observer = await scene.observer(mount, { monitorIntervalMs: 20 })
    const asked = ({ history }: ObserverReport) => history.some((entry) => /^waiting: SQLite refuses/.test(entry))
    await observer.until('the lock to be told', asked)
    await second.run("insert into t(b) values('more')")
    expect(await observer.report()).toMatchObject({ status: 'waiting', complete: false, copies: 0 })
    await second.run('pragma locking_mode = normal')
    await second.get('select count(*) from t')
    await second.close()
    const third = await scene.application()
    await third.run("insert into t(b) values('shared')")
    await observer.untilComplete()
    expect(differingPages(await third.contents(), (await observer.stop()).contents)).toEqual([])
  })

  test('a wal-index that no application holds is not taken for attached', async (context) => {
    needNamespaces(context, mount)
    if (mount === 'writable') return
    const scene = makeScene()
    const first = await scene.application()
    for (let i = 0; i < 3; i++) await first.run("insert into u(b) values('start')")
    await first.kill()
    const tracker = await startTracker(scene, mount)
    expect(await tracker.attach(scene.path)).toMatchObject({ attached: false })
    await tracker.close()
    const observer = await scene.observer(mount, { monitorIntervalMs: 20 })
    await observer.until('it to wait', ({ reason }) => reason.includes('no application has the database open'))
    const second = await scene.application()
    for (let i = 0; i < 3; i++) await second.run("insert into u(b) values('start')")
    await second.pragma('wal_checkpoint(TRUNCATE)')
    for (let i = 0; i < 2; i++) await second.run("insert into t(b) values('work')")
    await observer.untilComplete()
    expect(differingPages(await second.contents(), (await observer.stop()).contents)).toEqual([])
  })
})

test('a second name of the database is refused: its -wal may lie beside the other', async () => {
  const scene = makeScene()
  const application = await scene.application()
  await application.run("insert into t(b) values('a')")
  const elsewhere = join(scene.directory, 'elsewhere')
  mkdirSync(elsewhere)
  linkSync(scene.path, join(elsewhere, 'link.db'))
  const observer = await scene.observer('writable', { path: join(elsewhere, 'link.db') })
  await observer.until('the refusal', ({ status, reason }) => status === 'waiting' && reason.includes('2 hard links'))
  expect(await observer.report()).toMatchObject({ complete: false, copies: 0 })
})

test('a database that is mounted as a single file is refused: its -wal is hidden', async (context) => {
  needNamespaces(context)
  const scene = makeScene()
  const application = await scene.application()
  await application.run("insert into t(b) values('a')")
  const elsewhere = join(scene.directory, 'elsewhere')
  mkdirSync(elsewhere)
  const path = join(elsewhere, 'app.db')
  writeFileSync(path, '')
  const [file = '', ...args] = namespaceCommand(
    `mount --bind '${scene.path}' "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"`,
    path,
  )
  const program = await childProgram('support/observer/observer-child.ts')
  const child = startChild(program, { through: [file, ...args] })
  onTestFinished(() => child.kill())
  await child.call('start', { path, spoolDirectory: scene.directory, monitorIntervalMs: 20 })
  const refused = async () => (await child.call<ObserverReport>('nowReport')).reason
  await expect.poll(refused).toContain('is mounted as a single file')
  expect(await child.call<ObserverReport>('nowReport')).toMatchObject({ status: 'waiting', complete: false })
})
