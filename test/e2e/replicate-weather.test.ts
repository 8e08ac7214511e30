// Trouble with storage: one replica's trouble is nobody else's, is told once and clearly, and is over when the storage is back.

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { minioServer, privateMinio } from '../support/minio.js'
import { tempDirectory } from '../support/temp.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  linesWith,
  restoredRows,
  s3Target,
  s3Yaml,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

test('one of two directories cannot be written: the other goes on, and it catches up later', async () => {
  const directory = tempDirectory('weather')
  const app = new App(join(directory, 'storage', 'app.db'))
  const [good, bad] = [join(directory, 'good'), join(directory, 'blocked', 'bad')]
  // Not even root can make a directory below a file.
  writeFileSync(join(directory, 'blocked'), '')
  const daemon = await startWithConfig(
    directory,
    `dbs:
- path: ${app.path}
  monitor-interval: 20ms
  replicas:
  - {name: good, path: ${good}, sync-interval: 20ms}
  - {name: bad, path: ${bad}, sync-interval: 20ms}
`,
  )
  for (let i = 0; i < 5; i++) {
    app.write(`commit ${i}`)
    await untilReplicated(app, fileTarget(good), directory)
  }
  await daemon.waitForLine(
    /monitor error.* replica=bad|replica=bad.*monitor error|msg="monitor error" db=\S+ replica=bad/,
  )
  rmSync(join(directory, 'blocked'))
  await untilReplicated(app, fileTarget(bad), directory)
  app.write('the last one')
  const end = await daemon.stop()
  expectGoodEnd(end)
  const errors = linesWith(end.stdout, 'level=ERROR')
  expect(errors).toHaveLength(1)
  expect(errors[0]).toContain(bad)
  expect(linesWith(end.stdout, 'replica works again', 'replica=bad')).toHaveLength(1)
  for (const path of [good, bad]) expect(await restoredRows(fileTarget(path), directory)).toEqual(app.rows)
}, 120_000)

test('started while a file lies where its directory belongs: that is no empty replica, and the generation is gone on with', async () => {
  const directory = tempDirectory('weather')
  const app = new App(join(directory, 'storage', 'app.db'))
  const replica = join(directory, 'replica')
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`
  const first = await startWithConfig(directory, yaml)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  expectGoodEnd(await first.stop())
  renameSync(replica, `${replica}-aside`)
  writeFileSync(replica, '')
  const second = await startWithConfig(directory, yaml)
  await second.waitForLine(/monitor error.*a file is where a directory is needed/)
  app.write('meanwhile')
  rmSync(replica)
  renameSync(`${replica}-aside`, replica)
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await second.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'sync: new generation')).toEqual([])
  expect(linesWith(end.stdout, 'continuing generation')).toHaveLength(1)
}, 120_000)

describe('a MinIO that comes and goes', () => {
  test('stopped for a while: the directory goes on, MinIO catches up', async () => {
    const directory = tempDirectory('weather')
    const minio = await privateMinio()
    onTestFinished(minio.remove)
    const bucket = await minio.createBucket('weather')
    const app = new App(join(directory, 'storage', 'app.db'))
    const good = join(directory, 'good')
    const remote = s3Target(minio, bucket, 'app')
    const daemon = await startWithConfig(
      directory,
      `dbs:
- path: ${app.path}
  monitor-interval: 20ms
  replicas:
  - {name: good, path: ${good}, sync-interval: 20ms}
  - {name: remote, ${s3Yaml(minio, bucket, 'app')}, sync-interval: 20ms}
`,
    )
    app.write('both')
    await untilReplicated(app, remote, directory)
    await minio.stop()
    for (let i = 0; i < 5; i++) {
      app.write(`without MinIO ${i}`)
      await untilReplicated(app, fileTarget(good), directory)
    }
    await daemon.waitForLine(/msg="monitor error" db=\S+ replica=remote/)
    await minio.start()
    await untilReplicated(app, remote, directory)
    app.write('the last one')
    const end = await daemon.stop()
    expectGoodEnd(end)
    expect(linesWith(end.stdout, 'level=ERROR', 'replica=remote')).toHaveLength(1)
    // Nothing was missed, so nothing had to begin anew.
    expect(linesWith(end.stdout, 'sync: new generation', 'replica=remote')).toHaveLength(1)
    for (const target of [fileTarget(good), remote]) expect(await restoredRows(target, directory)).toEqual(app.rows)
  }, 180_000)

  test('refusing connections at the start, up later', async () => {
    const directory = tempDirectory('weather')
    const minio = await privateMinio()
    onTestFinished(minio.remove)
    const bucket = await minio.createBucket('weather')
    await minio.stop()
    const app = new App(join(directory, 'storage', 'app.db'))
    app.write('early')
    const daemon = await startWithConfig(
      directory,
      `dbs:
- path: ${app.path}
  monitor-interval: 20ms
  replicas:
  - {${s3Yaml(minio, bucket, 'app')}, sync-interval: 20ms}
`,
    )
    const error = await daemon.waitForLine(/msg="monitor error"/)
    expect(error).toContain('connection refused')
    expect(error).toContain(minio.endpoint)
    app.write('while it is down')
    await minio.start()
    await untilReplicated(app, s3Target(minio, bucket, 'app'), directory)
    app.write('the last one')
    const end = await daemon.stop()
    expectGoodEnd(end)
    expect(linesWith(end.stdout, 'level=ERROR')).toHaveLength(1)
    expect(await restoredRows(s3Target(minio, bucket, 'app'), directory)).toEqual(app.rows)
  }, 180_000)

  test('down when the daemon stops: it says what is missing, and exits 1', async () => {
    const directory = tempDirectory('weather')
    const minio = await privateMinio()
    onTestFinished(minio.remove)
    const bucket = await minio.createBucket('weather')
    const app = new App(join(directory, 'storage', 'app.db'))
    const daemon = await startWithConfig(
      directory,
      `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{${s3Yaml(minio, bucket, 'app')}, sync-interval: 20ms}]}]\n`,
    )
    app.write('safe')
    await untilReplicated(app, s3Target(minio, bucket, 'app'), directory)
    await minio.stop()
    app.write('left behind')
    await daemon.waitForLine(/msg="monitor error"/)
    const end = await daemon.stop()
    expect(end.code).toBe(1)
    expect(end.stdout).toMatch(/msg="error closing db" db=\S+ error=".*lacks the newest changes.*connection refused/)
    expect(end.stdout + end.stderr).toContain('failed to run')
  }, 120_000)
})

test('a missing bucket and wrong credentials: one clear message each, the other databases go on', async () => {
  const directory = tempDirectory('weather')
  const minio = await minioServer()
  const [bucket, later] = [await minio.createBucket('weather'), `weather-later-${process.pid}-${Date.now()}`]
  const app = (name: string) => new App(join(directory, 'storage', `${name}.db`))
  const [good, lost, wrong] = [app('good'), app('lost'), app('wrong')]
  const database = (name: string, fields: string) =>
    `- {path: ${directory}/storage/${name}.db, monitor-interval: 20ms, replicas: [{${fields}, sync-interval: 20ms}]}\n`
  const daemon = await startWithConfig(
    directory,
    `dbs:\n${database('good', s3Yaml(minio, bucket, 'good'))}${database('lost', s3Yaml(minio, later, 'lost'))}${database('wrong', s3Yaml(minio, bucket, 'wrong', 'not-the-secret'))}`,
  )
  for (let i = 0; i < 5; i++) {
    for (const one of [good, lost, wrong]) one.write(`commit ${i}`)
    await untilReplicated(good, s3Target(minio, bucket, 'good'), directory)
  }
  const noBucket = await daemon.waitForLine(/msg="monitor error" db=\S+lost\.db/)
  expect(noBucket).toContain(later)
  expect(noBucket).toContain('there is no such bucket; create it')
  const noAccess = await daemon.waitForLine(/msg="monitor error" db=\S+wrong\.db/)
  expect(noAccess).toContain('check secret-access-key')

  await minio.sdk.send(new CreateBucketCommand({ Bucket: later }))
  await untilReplicated(lost, s3Target(minio, later, 'lost'), directory)
  good.write('the last one')
  const end = await daemon.stop()
  expect(linesWith(end.stdout, 'msg="monitor error"', 'lost.db')).toHaveLength(1)
  expect(linesWith(end.stdout, 'msg="monitor error"', 'wrong.db')).toHaveLength(1)
  expect(await restoredRows(s3Target(minio, bucket, 'good'), directory)).toEqual(good.rows)
  expect(await restoredRows(s3Target(minio, later, 'lost'), directory)).toEqual(lost.rows)
}, 120_000)
