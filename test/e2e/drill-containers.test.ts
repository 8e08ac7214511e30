// docs/restore-drill.md, "For real": the block as printed, with plain Docker, over the database of a stopped application. Replaced are
// only the names of a machine: containers, volume, image. MinIO is a container of the same default network.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import {
  APPLICATION_IMAGE,
  Container,
  OUR_IMAGE,
  prepareImages,
  runContainer,
  Volume,
} from '../support/containers/docker.js'
import { DATABASE, STORAGE, stateLines, USER } from '../support/containers/scene.js'
import { MINIO_IMAGE } from '../support/find-programs.js'
import { projectRoot } from '../support/make-dist.js'
import { printed } from '../support/printed.js'
import { mustRun, run } from '../support/process.js'
import { needDocker } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'

beforeAll(prepareImages, 25 * 60_000)

const KEYS = { LITESTREAM_ACCESS_KEY_ID: 'drill-access-key', LITESTREAM_SECRET_ACCESS_KEY: 'drill-secret-key' }

test('over the database of a stopped application', async (context) => {
  await needDocker(context)
  const directory = tempDirectory('drill')
  const id = randomBytes(3).toString('hex')
  const names = { web: `drill-${id}-web`, litestream: `drill-${id}-litestream` }
  const volume = await Volume.create('drill', USER)
  const started: Container[] = []
  onTestFinished(async () => {
    for (const container of started) {
      if (context.task.result?.state === 'fail') console.error((await container.logs()).slice(-4000))
      await container.remove()
    }
    await volume.remove()
  })
  const start = async (...args: Parameters<typeof Container.start>): Promise<Container> => {
    const container = await Container.start(...args)
    started.push(container)
    return container
  }
  const root = ['--env', `MINIO_ROOT_USER=${KEYS.LITESTREAM_ACCESS_KEY_ID}`]
  root.push('--env', `MINIO_ROOT_PASSWORD=${KEYS.LITESTREAM_SECRET_ACCESS_KEY}`)
  const minio = await start(root, MINIO_IMAGE, ['server', '/data'])
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  const address = (await mustRun('docker', ['inspect', '--format', format, minio.id])).stdout.trim()
  const endpoint = `http://${address}:9000`
  const env = { ...KEYS, NODE_PATH: '/opt/litestream/node_modules' }
  const create = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`])
  create.push('--volume', `${join(projectRoot, 'docker')}:/setup:ro`, '--entrypoint', 'node')
  await runContainer(create, OUR_IMAGE, ['/setup/create-bucket.cjs', endpoint, 'drill'])

  const replica = `{type: s3, bucket: drill, path: production, endpoint: "${endpoint}", sync-interval: 100ms}`
  writeFileSync(join(directory, 'litestream.yml'), `dbs:\n- path: ${DATABASE}\n  replicas: [${replica}]\n`)
  const secrets = Object.entries(KEYS).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(join(directory, 'secrets.env'), secrets.join(''))
  const ours = ['--name', names.litestream, '--volume', `${volume.name}:${STORAGE}:ro`]
  ours.push('--volume', `${directory}/litestream.yml:/etc/litestream.yml:ro`, '--env-file', `${directory}/secrets.env`)
  const litestream = await start(ours, OUR_IMAGE, ['replicate'])
  const shared = ['--user', USER, '--volume', `${volume.name}:${STORAGE}`]
  const web = await start(['--name', names.web, ...shared], APPLICATION_IMAGE, ['write', DATABASE, '30'])
  await web.line(/^all written/)
  const isCaughtUp = async () => {
    const { stdout } = await litestream.exec('litestream', 'status', '-json')
    return JSON.parse(stdout).databases[0].replicas[0].state === 'ok'
  }
  await until(isCaughtUp, { what: 'the replica to have everything', timeoutMs: 60_000 })
  const newest = stateLines(await web.logs()).at(-1)
  const list = () => runContainer(shared, APPLICATION_IMAGE, ['list', STORAGE])

  const [stop = '', ...rest] = printed('restore-drill').block('## For real').trim().split('\n')
  const block = (lines: readonly string[]) =>
    lines
      .join('\n')
      .replaceAll('myapp-web litestream', `${names.web} ${names.litestream}`)
      .replaceAll('myapp_storage', volume.name)
      .replaceAll('  litestream-node restore', `  ${OUR_IMAGE} restore`)
  const shell = (lines: readonly string[]) =>
    run('bash', ['-ec', block(lines)], { cwd: directory, env: { PWD: directory }, timeoutMs: 120_000 })
  // As long as somebody has it open it is refused, and nothing moves.
  const before = await list()
  const inUse = await shell(rest)
  expect([inUse.code, inUse.stderr]).toEqual([1, expect.stringMatching(/cannot replace .*has it open/)])
  expect(await list()).toBe(before)

  const { code, stdout, stderr } = await shell([stop, ...rest])
  expect(code, stdout + stderr).toBe(0)
  // The application prints no state of its own where nothing is left to write: it is asked.
  expect((await runContainer(shared, APPLICATION_IMAGE, ['state', DATABASE])).trim()).toBe(newest)
  const files = (await list()).trim().split('\n')
  expect(files.filter((line) => /^production\.sqlite3\.replaced-\d{8}T\d{6}Z /.test(line))).toHaveLength(1)
  expect(files.filter((line) => !/ 1000:1000 /.test(line))).toEqual([])
  await until(async () => (await litestream.exec('litestream', 'databases')).code === 0, {
    what: 'the daemon to be healthy again',
    timeoutMs: 60_000,
  })
}, 180_000)
