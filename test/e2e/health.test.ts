// `litestream databases` as a health check of the real daemon: whatever breaks is told within a minute, and half a minute after it
// was repaired the daemon is well again by itself. Most cases have small bounds, so that they take seconds.

import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { minioServer, privateMinio } from '../support/minio.js'
import { freePort } from '../support/minio-server.js'
import { needNamespaces } from '../support/observer/child.js'
import { type Finished, run } from '../support/process.js'
import { distMain, runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { App, fileTarget, s3Yaml, startThrough, startWithConfig, untilReplicated } from './replicating.js'

const UNHEALTHY_MS_MAX = 60_000
const REPAIRED_MS_MAX = 30_000

const check = (directory: string) => runOurs(['databases', '-config', join(directory, 'litestream.yml')])
type Check = () => Promise<Finished>

/** Resolves with the check's stderr once it finds a fault that matches. */
async function untilUnhealthy(directory: string, fault: RegExp, how: Check = () => check(directory)): Promise<string> {
  let last: Finished | undefined
  const looked = async () => {
    last = await how()
    return last.code === 1 && fault.test(last.stderr) ? last.stderr : ''
  }
  const options = { what: `the check to find ${fault}`, timeoutMs: UNHEALTHY_MS_MAX, intervalMs: 100 }
  return await until(looked, options).catch((cause) => {
    throw new Error(`it said: ${JSON.stringify(last)}`, { cause })
  })
}

async function untilHealthy(directory: string, how: Check = () => check(directory)): Promise<void> {
  let last: Finished | undefined
  const looked = async () => {
    last = await how()
    return last.code === 0 && last.stderr === ''
  }
  await until(looked, { what: 'the check to find nothing', timeoutMs: REPAIRED_MS_MAX, intervalMs: 100 }).catch(
    (cause) => {
      throw new Error(`it said: ${JSON.stringify(last)}`, { cause })
    },
  )
}

test('without a daemon the files are checked; with one, also that somebody answers and that all is backed up', async () => {
  const directory = tempDirectory('health')
  const path = join(directory, 'storage', 'app.db')
  const socket = join(directory, 'control.sock')
  const yaml = `socket: {path: ${socket}}
dbs: [{path: ${path}, monitor-interval: 50ms, replicas: [{path: ${directory}/replica, sync-interval: 50ms}]}]
`
  // Booted before the application has made its database: it waits, says so, and is not healthy.
  const daemon = await startWithConfig(directory, yaml)
  const table = `path${' '.repeat(path.length - 2)}replicas\n${path}  file\n`
  await daemon.waitForLine(/no database found yet, waiting for it/)
  expect(await check(directory)).toMatchObject({ code: 1, stdout: table })
  expect((await check(directory)).stderr).toMatch(
    /^time=\S+ level=ERROR msg="cannot read database" db=\S+ error="there is no such file"\n$/,
  )
  const app = new App(path)
  app.write('first')
  await untilHealthy(directory)
  expect((await check(directory)).stdout).toBe(table)

  // A second daemon of the same configuration would fight over the replica.
  const second = await startWithConfig(directory, yaml)
  expect(await second.finished).toMatchObject({ code: 1 })
  expect(second.output()).toContain(`another litestream serves this configuration already (process ${daemon.pid}`)
  await untilHealthy(directory)

  daemon.kill('SIGSTOP')
  await untilUnhealthy(directory, /msg="cannot ask the daemon" error=".*has not answered for 2s"/)
  daemon.kill('SIGCONT')
  await untilHealthy(directory)

  daemon.kill('SIGKILL')
  await daemon.finished
  await untilUnhealthy(directory, /nobody answers at .*the daemon has died/)
  await startWithConfig(directory, yaml)
  await untilHealthy(directory)
}, 180_000)

describe('a database that becomes unreadable', () => {
  const yamlOf = (directory: string, path: string) => `socket: {path: ${directory}/control.sock}
dbs: [{path: ${path}, monitor-interval: 50ms, replicas: [{path: ${directory}/replica, sync-interval: 50ms}]}]
`

  test('something else in its place: told, and healthy again by itself when the database is back', async () => {
    const directory = tempDirectory('health')
    const app = new App(join(directory, 'storage', 'app.db'))
    app.write('first')
    await startWithConfig(directory, yamlOf(directory, app.path))
    await untilHealthy(directory)
    const text = 'this is no database at all, and it is long enough to have a header of one hundred bytes. '.repeat(3)
    const troubles: [error: string, () => void][] = [
      ['it is not a regular file', () => mkdirSync(app.path)],
      ['it is not a SQLite database', () => writeFileSync(app.path, text)],
      ['it is empty', () => writeFileSync(app.path, '')],
      ['there is no such file', () => {}],
    ]
    const names = ['', '-wal', '-shm'].map((suffix) => `${app.path}${suffix}`)
    for (const [error, put] of troubles) {
      // As somebody does who restores something else by hand: the application is stopped, and its files are moved away.
      app.close()
      for (const name of names) if (existsSync(name)) renameSync(name, `${name}.aside`)
      put()
      const fault = await untilUnhealthy(directory, new RegExp(`msg="cannot read database" db=\\S+ error="${error}"`))
      expect(fault.trim().split('\n'), error).toHaveLength(1)
      rmSync(app.path, { recursive: true, force: true })
      for (const name of names) if (existsSync(`${name}.aside`)) renameSync(`${name}.aside`, name)
      app.reopen()
      app.write(`after ${error}`)
      await untilHealthy(directory)
    }
    await untilReplicated(app, fileTarget(`${directory}/replica`), directory)
  }, 180_000)

  test('its rights taken away from the user of the daemon and the check: told, and healthy again when they are back', async (context) => {
    needNamespaces(context)
    const directory = tempDirectory('health')
    const app = new App(join(directory, 'storage', 'app.db'))
    app.write('first')
    // Root reads everything: without its capabilities it is an owner like any other.
    const words = ['unshare', '--user', '--map-root-user', 'setpriv']
    words.push('--bounding-set=-all', '--inh-caps=-all', '--no-new-privs')
    const daemon = await startThrough(words, directory, yamlOf(directory, app.path))
    const [file = '', ...rest] = [...words, process.execPath, await distMain()]
    const how = () => run(file, [...rest, 'databases', '-config', join(directory, 'litestream.yml')])
    await untilHealthy(directory, how)
    chmodSync(app.path, 0o000)
    await untilUnhealthy(directory, /msg="cannot read database" db=\S+ error=".*permission denied.*app\.db/, how)
    chmodSync(app.path, 0o644)
    await untilHealthy(directory, how)
    // The directory too: then the daemon cannot even see it.
    chmodSync(dirname(app.path), 0o000)
    await untilUnhealthy(directory, /msg="cannot read database" db=\S+ error=".*permission denied/, how)
    await daemon.waitForLine(/permission denied|EACCES/)
    chmodSync(dirname(app.path), 0o755)
    app.write('second')
    await untilHealthy(directory, how)
    await untilReplicated(app, fileTarget(`${directory}/replica`), directory)
  }, 180_000)
})

/** Between the daemon and MinIO; while it is cut nothing gets through in either direction, and nobody is told. */
async function cuttableProxy(target: number) {
  const sockets = new Set<Socket>()
  let cut = false
  const server: Server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => [near, far].forEach((one) => void one.destroy()))
    }
    near.on('data', (chunk) => cut || far.write(chunk))
    far.on('data', (chunk) => cut || near.write(chunk))
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const end = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  onTestFinished(() => {
    server.close()
    end()
  })
  return {
    endpoint: `http://127.0.0.1:${port}`,
    cut: () => {
      cut = true
    },
    repair: () => {
      cut = false
      end()
    },
  }
}

test('MinIO frozen, the network cut, MinIO killed: told within a minute, healthy again by itself', async () => {
  const directory = tempDirectory('health')
  const minio = await privateMinio()
  onTestFinished(minio.remove)
  const proxy = await cuttableProxy(Number(new URL(minio.endpoint).port))
  const bucket = await minio.createBucket('health')
  const app = new App(join(directory, 'storage', 'app.db'))
  const daemon = await startWithConfig(
    directory,
    `dbs:
- path: ${app.path}
  monitor-interval: 50ms
  meta-path: ${directory}/meta
  replicas: [{${s3Yaml({ ...minio, endpoint: proxy.endpoint }, bucket, 'app')}, sync-interval: 50ms, max-behind: 1s}]
`,
  )
  await daemon.waitForLine(/replicating to/)
  await untilHealthy(directory)
  const troubles: [name: string, () => unknown, () => unknown][] = [
    ['frozen', minio.pause, minio.resume],
    ['cut off', proxy.cut, proxy.repair],
    ['killed', minio.stop, minio.start],
  ]
  for (const [name, begin, repair] of troubles) {
    await begin()
    app.write(name)
    const fault = await untilUnhealthy(
      directory,
      /msg="replica is not up to date" db=\S+ replica=s3 state=(behind|failing|unreachable)/,
    )
    expect(fault.trim().split('\n'), name).toHaveLength(1)
    await repair()
    await untilHealthy(directory)
  }
}, 240_000)

test('the bucket of an idle database deleted: noticed with the default bounds, begun anew when there is one again', async () => {
  const directory = tempDirectory('health')
  const minio = await minioServer()
  const bucket = await minio.createBucket('health')
  const app = new App(join(directory, 'storage', 'app.db'))
  app.write('only this')
  const daemon = await startWithConfig(
    directory,
    `dbs: [{path: ${app.path}, replicas: [{${s3Yaml(minio, bucket, 'app')}}]}]\n`,
  )
  await daemon.waitForLine(/replicating to/)
  await untilHealthy(directory)
  const { Contents = [] } = await minio.sdk.send(new ListObjectsV2Command({ Bucket: bucket }))
  const Objects = Contents.map(({ Key }) => ({ Key }))
  expect(Objects).not.toEqual([])
  await minio.sdk.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }))
  await minio.sdk.send(new DeleteBucketCommand({ Bucket: bucket }))
  await untilUnhealthy(directory, /replica=s3 state=unreachable error=".*there is no such bucket/)
  await minio.sdk.send(new CreateBucketCommand({ Bucket: bucket }))
  await untilHealthy(directory)
  const { KeyCount } = await minio.sdk.send(new ListObjectsV2Command({ Bucket: bucket }))
  expect(KeyCount).toBeGreaterThan(0)
}, 180_000)
