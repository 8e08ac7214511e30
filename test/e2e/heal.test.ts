// Healing by comparison with the real command: continuity is lost on purpose, by checkpoints of the application while the daemon is frozen
// or away. The generation goes on, and what is in it is the database, page for page, to us and to the real Litestream.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { runReal } from '../support/litestream-real.js'
import { MOUNTS, type Mount, needNamespaces, readOnlyCommand } from '../support/observer/child.js'
import { differingPages } from '../support/observer/scene.js'
import type { Running } from '../support/process.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  linesWith,
  messagesOf,
  snapshotsIn,
  startThrough,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

function setUp(options = '') {
  const directory = tempDirectory('heal')
  const path = join(directory, 'storage', 'app.db')
  const app = new App(path)
  const replica = join(directory, 'replica')
  const yaml = `dbs: [{path: ${path}, monitor-interval: 20ms${options}, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`
  const side = new Database(path)
  side.pragma('wal_autocheckpoint = 0')
  side.exec('CREATE TABLE filler (id INTEGER PRIMARY KEY, b BLOB)')
  app.neverCheckpoint()
  /** Many pages. */
  const fill = (rows: number) =>
    side.exec(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO filler(b) SELECT randomblob(3000) FROM n`,
    )
  const checkpoint = () => (side.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])[0]?.busy === 0
  return { directory, app, replica, yaml, side, fill, checkpoint }
}

type Setting = ReturnType<typeof setUp>

/** While the daemon is frozen the WAL is restarted more than once, with commits that nobody will ever see. */
async function loseContinuity(daemon: Running, { app, side, checkpoint }: Setting, unseen: () => void): Promise<void> {
  // A pin in the wrong moment holds the checkpoint up: then it is let go, and tried again.
  side.pragma('busy_timeout = 50')
  await until(
    () => {
      daemon.kill('SIGSTOP')
      if (checkpoint()) return true
      daemon.kill('SIGCONT')
      return false
    },
    { what: 'a moment without a pin', timeoutMs: 60_000 },
  )
  for (let i = 0; i < 3; i++) {
    unseen()
    app.write(`unseen ${i}`)
    expect(checkpoint()).toBe(true)
  }
  app.write('begins another cycle')
  daemon.kill('SIGCONT')
}

/** Restored by us and by the real one, it is the database as SQLite sees it. */
async function expectExact({ directory, app, replica }: Setting): Promise<void> {
  const database = new Database(app.path, { readonly: true })
  const source = database.serialize()
  database.close()
  mkdirSync(join(directory, 'out'), { recursive: true })
  const [ours, real] = [join(directory, 'out', 'ours.db'), join(directory, 'out', 'real.db')]
  for (const [run, path] of [
    [runOurs, ours],
    [runReal, real],
  ] as const) {
    const { code, stderr, stdout } = await run(['restore', '-o', path, `file://${replica}`])
    expect(code, stdout + stderr).toBe(0)
    expect(differingPages(source, readFileSync(path)), path).toEqual([])
    rmSync(path)
  }
}

/** The daemon, which sees the directory of the database as the mount is. */
async function startOn(mount: Mount, { directory, yaml }: Setting): Promise<Running> {
  if (mount === 'writable') return await startWithConfig(directory, yaml)
  return await startThrough(readOnlyCommand(join(directory, 'storage')), directory, yaml)
}

const healedIn = (log: string): string[] => linesWith(log, 'healed by comparison')

test.for(MOUNTS)(
  'on a %s mount: commits that nobody saw, again and again: the generation goes on, and is exact each time',
  {
    timeout: 180_000,
  },
  async (mount, context) => {
    needNamespaces(context, mount)
    const setting = setUp()
    const { directory, app, replica, side, fill } = setting
    fill(300)
    const daemon = await startOn(mount, setting)
    await untilReplicated(app, fileTarget(replica), directory)
    const unseen = [
      () => fill(20),
      () => side.exec('DELETE FROM filler WHERE id % 3 = 0; VACUUM'),
      () => side.exec('UPDATE filler SET b = randomblob(3000) WHERE id % 50 = 1'),
      () => side.exec('DELETE FROM filler; VACUUM'),
      () => fill(500),
    ]
    for (const [i, change] of unseen.entries()) {
      app.write(`seen ${i}`)
      await untilReplicated(app, fileTarget(replica), directory)
      await loseContinuity(daemon, setting, change)
      await until(() => healedIn(daemon.output()).length === i + 1, { what: `healing ${i + 1}` })
      await untilReplicated(app, fileTarget(replica), directory)
      await expectExact(setting)
    }
    app.write('the last one')
    const end = await daemon.stop()
    expectGoodEnd(end)
    await expectExact(setting)
    expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(1)
    expect(snapshotsIn(replica)).toHaveLength(1)
    for (const line of healedIn(end.stdout)) {
      expect(line).toMatch(/position=\S+ reason="[^"]+" compared=\d+ shipped=\d+/)
    }
    // Of the larger ones only what differs was shipped.
    const [, , updated] = healedIn(end.stdout).map((line) =>
      line
        .match(/compared=(\d+) shipped=(\d+)/)
        ?.slice(1)
        .map(Number),
    )
    expect(updated?.[1]).toBeLessThan((updated?.[0] ?? 0) / 2)
  },
)

test('heal: false begins a new generation, as it is without digests', async () => {
  const setting = setUp(', heal: false')
  const { directory, app, replica } = setting
  const daemon = await startWithConfig(directory, setting.yaml)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  await loseContinuity(daemon, setting, () => {})
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(healedIn(end.stdout)).toEqual([])
  expect(snapshotsIn(replica)).toHaveLength(2)
}, 60_000)

describe('over a restart, with meta-path', () => {
  /** Replicates, stops, lets the application go on and checkpoint, and starts again. */
  async function restarted(setting: Setting, meanwhile: () => void): Promise<Running> {
    const { directory, app, replica, fill } = setting
    const meta = join(directory, 'meta')
    const yaml = setting.yaml.replace('monitor-interval', `meta-path: ${meta}, monitor-interval`)
    fill(100)
    const first = await startWithConfig(directory, yaml)
    app.write('first')
    await untilReplicated(app, fileTarget(replica), directory)
    app.write('second')
    expectGoodEnd(await first.stop())
    expect(readdirSync(meta)).toHaveLength(1)
    meanwhile()
    const second = await startWithConfig(directory, yaml)
    await untilReplicated(app, fileTarget(replica), directory)
    return second
  }

  test('the application checkpointed: healed, no new generation', async () => {
    const setting = setUp()
    const daemon = await restarted(setting, () => {
      setting.app.write('while it was away')
      expect(setting.checkpoint()).toBe(true)
      setting.app.write('in another cycle')
    })
    setting.app.write('when it was back')
    const end = await daemon.stop()
    expectGoodEnd(end)
    await expectExact(setting)
    expect(healedIn(end.stdout)).toHaveLength(1)
    expect(healedIn(end.stdout)[0]).toContain('reason="the WAL was restarted while nobody watched"')
    expect(messagesOf(end.stdout)).not.toContain('sync: new generation')
    expect(snapshotsIn(setting.replica)).toHaveLength(1)
  }, 60_000)

  test('the application closed the database: healed, no new generation', async () => {
    const setting = setUp()
    const daemon = await restarted(setting, () => {
      setting.app.write('while it was away')
      setting.side.close()
      setting.app.close()
    })
    const end = await daemon.stop()
    expectGoodEnd(end)
    expect(healedIn(end.stdout)).toHaveLength(1)
    expect(snapshotsIn(setting.replica)).toHaveLength(1)
    setting.app.reopen()
    await expectExact(setting)
  }, 60_000)

  test('killed instead of stopped: nothing was kept that fits, a new generation', async () => {
    const setting = setUp()
    const daemon = await restarted(setting, () => setting.app.write('while it was away'))
    setting.app.write('since the last stop')
    await untilReplicated(setting.app, fileTarget(setting.replica), setting.directory)
    await daemon.stop('SIGKILL')
    expect(setting.checkpoint()).toBe(true)
    setting.app.write('in another cycle')
    const yaml = setting.yaml.replace(
      'monitor-interval',
      `meta-path: ${join(setting.directory, 'meta')}, monitor-interval`,
    )
    const third = await startWithConfig(setting.directory, yaml)
    await untilReplicated(setting.app, fileTarget(setting.replica), setting.directory)
    const end = await third.stop()
    expectGoodEnd(end)
    expect(messagesOf(end.stdout)).toContain('page digests that were kept do not fit')
    expect(healedIn(end.stdout)).toEqual([])
    expect(snapshotsIn(setting.replica)).toHaveLength(2)
    await expectExact(setting)
  }, 60_000)
})

test('meta-path in the directory of the database is not used', async () => {
  const setting = setUp()
  const { directory, app, replica } = setting
  const yaml = setting.yaml.replace(
    'monitor-interval',
    `meta-path: ${join(directory, 'storage', 'meta')}, monitor-interval`,
  )
  const before = readdirSync(join(directory, 'storage'))
  const daemon = await startWithConfig(directory, yaml)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(messagesOf(end.stdout)).toContain('meta-path is in the directory of the database and is not used')
  expect(readdirSync(join(directory, 'storage'))).toEqual(before)
}, 60_000)
