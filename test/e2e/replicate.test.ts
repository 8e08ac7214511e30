// The command `replicate` as its users meet it: from a URL and from a configuration, to directories and to S3, many databases at
// once, over restarts, new indexes and new snapshots. Stopping is in replicate-stop, trouble with storage in replicate-weather.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runReal } from '../support/litestream-real.js'
import { minioServer } from '../support/minio.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  linesWith,
  messagesOf,
  restoredRows,
  s3Target,
  s3Yaml,
  segmentsIn,
  snapshotsIn,
  startReplicate,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

const FAST = 'monitor-interval: 20ms'

test('DB_PATH REPLICA_URL replicates to a directory, and says what it does', async () => {
  const directory = tempDirectory('replicate')
  const app = new App(join(directory, 'app.db'))
  const replica = join(directory, 'replica')
  app.write('before the start')
  const daemon = await startReplicate([app.path, `file://${replica}`])
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('while it runs')
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('at the end')
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)

  const messages = messagesOf(end.stdout)
  expect(messages.slice(0, 3)).toEqual(['litestream', 'initialized db', 'replicating to'])
  const inOrder = ['sync: new generation', 'write snapshot', 'snapshot written', 'wal segment written']
  expect(messages.filter((message) => inOrder.includes(message)).slice(0, 4)).toEqual(inOrder)
  expect(messages.slice(-3)).toEqual([
    'signal received, litestream shutting down',
    'wal segment written',
    'litestream shut down',
  ])
  expect(end.stdout).toMatch(/level=INFO msg=litestream version=v\d+\.\d+\.\d+\n/)
  expect(end.stdout).toContain(`msg="initialized db" path=${app.path}\n`)
  expect(end.stdout).toContain(`msg="replicating to" name=file type=file sync-interval=1s path=${replica}\n`)
  expect(end.stdout).toMatch(
    /msg="sync: new generation" db=\S+ replica=file generation=[0-9a-f]{16} reason="no generation exists"/,
  )
  expect(end.stdout).toMatch(
    /msg="wal segment written" db=\S+ replica=file position=[0-9a-f]{16}\/[0-9a-f]{8}:\d+ elapsed=\S+ sz=\d+/,
  )
})

test('one database goes to a directory and to S3 at the same time', async () => {
  const directory = tempDirectory('replicate')
  const minio = await minioServer()
  const bucket = await minio.createBucket('replicate')
  const app = new App(join(directory, 'app.db'))
  const replica = join(directory, 'replica')
  const daemon = await startWithConfig(
    directory,
    `dbs:
- path: ${app.path}
  ${FAST}
  replicas:
  - {path: ${replica}, sync-interval: 20ms}
  - {${s3Yaml(minio, bucket, 'some/path')}, sync-interval: 20ms}
`,
  )
  for (let i = 0; i < 3; i++) {
    app.write(`commit ${i}`)
    await untilReplicated(app, fileTarget(replica), directory)
    await untilReplicated(app, s3Target(minio, bucket, 'some/path'), directory)
  }
  app.write('the last one')
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(end.stdout).toContain(`name=s3 type=s3 sync-interval=20ms bucket=${bucket} path=some/path`)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  expect(await restoredRows(s3Target(minio, bucket, 'some/path'), directory)).toEqual(app.rows)
})

test('the four databases of a Rails application go their own ways in one process', async () => {
  const directory = tempDirectory('replicate')
  const names = ['production', 'production_cache', 'production_queue', 'production_cable'] as const
  const syncInterval = {
    production: '10ms',
    production_cache: '1h',
    production_queue: '100ms',
    production_cable: '300ms',
  }
  const apps = names.map((name) => new App(join(directory, 'storage', `${name}.sqlite3`)))
  const replicaOf = (name: string) => join(directory, 'replicas', name)
  const yaml = names.map(
    (name, i) =>
      `- path: ${apps[i]?.path}\n  ${FAST}\n  replicas: [{path: ${replicaOf(name)}, sync-interval: ${syncInterval[name]}}]\n`,
  )
  const daemon = await startWithConfig(directory, `dbs:\n${yaml.join('')}`)
  for (const [i, app] of apps.entries()) {
    app.write(`${names[i]}: first`)
    await untilReplicated(app, fileTarget(replicaOf(names[i] as string)), directory)
  }
  for (let round = 0; round < 12; round++) {
    for (const [i, app] of apps.entries()) app.write(`${names[i]}: ${round}`)
    // The fastest one has every commit; so at least that much time has passed for the others.
    await untilReplicated(apps[0] as App, fileTarget(replicaOf('production')), directory)
  }
  const counts = names.map((name) => segmentsIn(replicaOf(name)).length)
  expect(counts[0]).toBeGreaterThanOrEqual(12)
  // The first change after a quiet time goes at once, the next one has an hour.
  expect(counts[1]).toBeLessThanOrEqual(2)
  expectGoodEnd(await daemon.stop())
  for (const [i, app] of apps.entries()) {
    expect(await restoredRows(fileTarget(replicaOf(names[i] as string)), directory)).toEqual(app.rows)
  }
})

describe('after a restart', () => {
  const setUp = async (directory: string) => {
    const app = new App(join(directory, 'app.db'))
    const replica = join(directory, 'replica')
    const begin = () =>
      startWithConfig(
        directory,
        `dbs: [{path: ${app.path}, ${FAST}, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`,
      )
    const daemon = await begin()
    app.write('first')
    await untilReplicated(app, fileTarget(replica), directory)
    return { app, replica, begin, daemon }
  }

  test.each(['SIGTERM', 'SIGKILL'] as const)('(%s) it goes on in the same generation', async (signal) => {
    const directory = tempDirectory('replicate')
    const { app, replica, begin, daemon } = await setUp(directory)
    await daemon.stop(signal)
    app.write('while it was away')
    const second = await begin()
    await untilReplicated(app, fileTarget(replica), directory)
    app.write('when it was back')
    const end = await second.stop()
    expectGoodEnd(end)
    expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
    expect(messagesOf(end.stdout)).toContain('continuing generation')
    expect(snapshotsIn(replica)).toHaveLength(1)
    const real = await runReal(['restore', '-o', join(directory, 'real.db'), `file://${replica}`])
    expect(real.code, real.stderr).toBe(0)
  })

  test('it begins a new generation when the WAL was restarted in the meantime, and says so', async () => {
    const directory = tempDirectory('replicate')
    const { app, replica, begin, daemon } = await setUp(directory)
    expectGoodEnd(await daemon.stop())
    app.restartWal('in a new cycle')
    const second = await begin()
    await untilReplicated(app, fileTarget(replica), directory)
    const end = await second.stop()
    expectGoodEnd(end)
    expect(end.stdout).toMatch(/msg="sync: new generation".* reason="the WAL was restarted while nobody watched"/)
    expect(snapshotsIn(replica)).toHaveLength(2)
  })

  test('it begins a new generation when the application closed the database in the meantime, and says so', async () => {
    const directory = tempDirectory('replicate')
    const { app, replica, begin, daemon } = await setUp(directory)
    expectGoodEnd(await daemon.stop())
    app.write('before it closed')
    app.close()
    const second = await begin()
    await untilReplicated(app, fileTarget(replica), directory)
    expect(second.stdout()).toMatch(/msg="sync: new generation".* reason="the application closed the database/)
    // A restart with the database closed and unchanged goes on.
    expectGoodEnd(await second.stop())
    const third = await begin()
    await third.waitForLine(/continuing generation/)
    app.reopen()
    app.write('after it came back')
    await untilReplicated(app, fileTarget(replica), directory)
    expectGoodEnd(await third.stop())
    expect(snapshotsIn(replica)).toHaveLength(2)
  })
})

test('an index ends after 256 segments, and the next one goes on', async () => {
  const directory = tempDirectory('replicate')
  const app = new App(join(directory, 'app.db'))
  const replica = join(directory, 'replica')
  const daemon = await startWithConfig(
    directory,
    `dbs: [{path: ${app.path}, monitor-interval: 5ms, replicas: [{path: ${replica}, sync-interval: 1ms}]}]\n`,
  )
  const inIndex = (index: string) => segmentsIn(replica).filter((name) => name.includes(`/${index}_`)).length
  await until(
    () => {
      app.write(`commit ${app.rows.length}`)
      return inIndex('00000001') >= 3
    },
    { what: 'the second index', timeoutMs: 100_000, intervalMs: 5 },
  )
  expectGoodEnd(await daemon.stop())
  // And the empty one that closes it.
  expect(inIndex('00000000')).toBe(257)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  const out = join(directory, 'real.db')
  const real = await runReal(['restore', '-o', out, `file://${replica}`])
  expect(real.code, real.stderr).toBe(0)
}, 120_000)

test('snapshot-interval takes a new snapshot, but only when something has changed', async () => {
  const directory = tempDirectory('replicate')
  mkdirSync(join(directory, 'storage'))
  const busy = new App(join(directory, 'storage', 'busy.db'))
  const idle = new App(join(directory, 'storage', 'idle.db'))
  const replicaOf = (name: string) => join(directory, 'replicas', name)
  const yaml = ['busy', 'idle'].map(
    (name) =>
      `- {path: ${directory}/storage/${name}.db, ${FAST}, replicas: [{path: ${replicaOf(name)}, sync-interval: 10ms, snapshot-interval: 200ms}]}\n`,
  )
  const daemon = await startWithConfig(directory, `dbs:\n${yaml.join('')}`)
  await untilReplicated(idle, fileTarget(replicaOf('idle')), directory)
  // One commit after the first snapshot: it is in a segment, or in a second snapshot.
  idle.write('one')
  await untilReplicated(idle, fileTarget(replicaOf('idle')), directory)
  const snapshotsUntil = (app: App, name: string, count: number) =>
    until(
      () => {
        app.write(`commit ${app.rows.length}`)
        return snapshotsIn(replicaOf(name)).length >= count
      },
      { what: `snapshot ${count} of ${name}`, timeoutMs: 60_000, intervalMs: 25 },
    )
  await snapshotsUntil(busy, 'busy', 2)
  const ofIdle = snapshotsIn(replicaOf('idle')).length
  await snapshotsUntil(busy, 'busy', 5)
  // Three intervals at least have passed.
  expect(snapshotsIn(replicaOf('idle')).length).toBeLessThanOrEqual(Math.max(ofIdle, 2))
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(2)
  expect(await restoredRows(fileTarget(replicaOf('busy')), directory)).toEqual(busy.rows)
  expect(await restoredRows(fileTarget(replicaOf('idle')), directory)).toEqual(idle.rows)
}, 120_000)
