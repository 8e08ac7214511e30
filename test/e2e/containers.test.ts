// The real deployment: an application and our image in two containers that share a volume. Ours sees it read-only or writable, as
// root or as the application's user; the volume must look as it does without us, and the replica must hold exactly what the
// application committed. The application (support/containers) is an ordinary user of SQLite and runs as 1000:1000.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import {
  APPLICATION_IMAGE,
  buildImages,
  Container,
  OUR_IMAGE,
  runContainer,
  Volume,
} from '../support/containers/docker.js'
import { minioServer } from '../support/minio.js'
import { run } from '../support/process.js'
import { needDocker } from '../support/programs.js'
import { resource } from '../support/resources.js'
import { tempDirectory } from '../support/temp.js'

const STORAGE = '/rails/storage'
const DATABASE = `${STORAGE}/production.sqlite3`
const USER = '1000:1000'

beforeAll(async () => {
  if ((await resource('docker')) === '') await buildImages()
}, 25 * 60_000)

interface Scene {
  /** An application container; it writes until there are `count` transactions. */
  application(count: number): Promise<Container>
  /** A one-shot command of the application's program. */
  ask(...words: string[]): Promise<string>
  /** A command of the application's program that goes on. */
  background(...words: string[]): Promise<Container>
  litestream(options?: readonly string[]): Promise<Container>
  /** What `state` prints of a restored copy. */
  restored(): Promise<string>
  /** Names, owners, modes and sizes on the database's volume. */
  listing(): Promise<string>
}

interface SceneOptions {
  readonly mount: 'ro' | 'rw'
  readonly storage: 'directory' | 'minio'
  readonly user?: string
}

async function makeScene(context: TestContext, { mount, storage, user = '0:0' }: SceneOptions): Promise<Scene> {
  await needDocker(context)
  const started: Container[] = []
  const volumes: Volume[] = []
  onTestFinished(async () => {
    for (const container of started) {
      if (context.task.result?.state === 'fail') console.error(`container ${container.id}:\n${await container.logs()}`)
      await container.remove()
    }
    for (const volume of volumes) await volume.remove()
  })
  const start = async (options: readonly string[], image: string, words: readonly string[]): Promise<Container> => {
    const container = await Container.start(options, image, words)
    started.push(container)
    return container
  }
  const database = await Volume.create('database', USER)
  const replica = await Volume.create('replica', user)
  volumes.push(database, replica)
  const { yaml, options: storageOptions } = storage === 'minio' ? await inMinio() : inDirectory(replica)
  const config = join(tempDirectory('containers'), 'litestream.yml')
  writeFileSync(config, `dbs:\n- path: ${DATABASE}\n  replicas: [{${yaml}, sync-interval: 200ms}]\n`)
  const ours = ['--volume', `${config}:/etc/litestream.yml:ro`, ...storageOptions]
  const shared = ['--user', USER, '--volume', `${database.name}:${STORAGE}`]

  return {
    application: (count) => start(shared, APPLICATION_IMAGE, ['write', DATABASE, String(count)]),
    background: (...words) => start(shared, APPLICATION_IMAGE, words),
    ask: (...words) => runContainer(shared, APPLICATION_IMAGE, words),
    litestream: (options = []) => {
      const words = ['--user', user, '--volume', `${database.name}:${STORAGE}:${mount}`, ...ours, ...options]
      return start(words, OUR_IMAGE, ['replicate'])
    },
    restored: () => {
      const script = `litestream restore -o /tmp/copy ${DATABASE} && node /application.cjs state /tmp/copy`
      return runContainer([...ours, '--entrypoint', 'sh'], APPLICATION_IMAGE, ['-c', script])
    },
    listing: () => runContainer(shared, APPLICATION_IMAGE, ['list', STORAGE]),
  }
}

function inDirectory(replica: Volume) {
  return { yaml: 'path: /backup/production', options: ['--volume', `${replica.name}:/backup`] }
}

/** The variables as Kamal passes them, in the container's environment. */
async function inMinio() {
  const { endpoint, accessKeyId, secretAccessKey, createBucket } = await minioServer()
  const env = {
    BUCKET_NAME: await createBucket('containers'),
    S3_ENDPOINT: endpoint,
    LITESTREAM_ACCESS_KEY_ID: accessKeyId,
    LITESTREAM_SECRET_ACCESS_KEY: secretAccessKey,
  }
  const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const yaml = `type: s3, bucket: "\${BUCKET_NAME}", path: production, endpoint: "\${S3_ENDPOINT}"`
  // MinIO listens on the host's own address.
  return { yaml, options: [...options, '--network', 'host'] }
}

const stateLines = (logs: string): string[] => logs.split('\n').filter((line) => /^\d+ /.test(line))
const SNAPSHOT = /msg="snapshot written"/

const COUNT = 150
let control: { during: string; after: string } | undefined

/** The volume without us: while the application has written `COUNT` transactions, and after it has ended. */
async function withoutUs(context: TestContext): Promise<{ during: string; after: string }> {
  if (control) return control
  const scene = await makeScene(context, { mount: 'rw', storage: 'directory' })
  const application = await scene.application(COUNT)
  await application.line(/^all written/)
  const during = await scene.listing()
  expect(await application.stop()).toBe(0)
  control = { during, after: await scene.listing() }
  return control
}

const hardened = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']

const places: Record<string, SceneOptions & { readonly options?: readonly string[] }> = {
  'read-only, root, to a directory': { mount: 'ro', storage: 'directory' },
  'read-only, root, to MinIO': { mount: 'ro', storage: 'minio' },
  'read-only, 1000:1000, hardened, to a directory': {
    mount: 'ro',
    storage: 'directory',
    user: USER,
    options: hardened,
  },
  'writable, root, to a directory': { mount: 'rw', storage: 'directory' },
}

describe('an application and our image share a volume', () => {
  test.for(Object.entries(places))('%s', async ([, { options, ...place }], context) => {
    const untouched = await withoutUs(context)
    const scene = await makeScene(context, place)
    const application = await scene.application(COUNT)
    await application.line(/^20 /)
    const ours = await scene.litestream(options)
    await ours.line(SNAPSHOT)

    // While both run: exactly some state that the application acknowledged.
    const meanwhile = (await scene.restored()).trim()
    await application.line(new RegExp(`^${meanwhile}$`))
    expect(Number.parseInt(meanwhile, 10)).toBeGreaterThanOrEqual(20)

    await application.line(/^all written/)
    expect(await scene.listing()).toBe(untouched.during)
    const databases = await ours.exec('litestream', 'databases')
    expect([databases.code, databases.stdout.split(/\s+/)]).toEqual([
      0,
      ['path', 'replicas', DATABASE, place.storage === 'minio' ? 's3' : 'file', ''],
    ])
    // 137 would mean that Docker had to kill it after its ten seconds.
    expect(await ours.stop()).toBe(0)
    expect(await ours.logs()).toContain('msg="litestream shut down"')
    expect((await scene.restored()).trim()).toBe(stateLines(await application.logs()).at(-1))
    expect(await scene.listing()).toBe(untouched.during)
    expect(await application.stop()).toBe(0)
    expect(await scene.listing()).toBe(untouched.after)
  })
})

describe('deployments', () => {
  test('the application comes late, is redeployed twice, and once closes in between', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const ours = await scene.litestream()
    await ours.line(/no database found yet, waiting for it/)
    const first = await scene.application(60)
    await first.line(/^20 /)
    const second = await scene.application(120) // both write
    await second.line(/^\d+ /)
    await first.line(/^all written/)
    expect(await first.stop()).toBe(0)
    await second.line(/^all written/)
    expect(await second.stop()).toBe(0) // nobody but us has it open
    const third = await scene.application(180)
    await third.line(/^all written/)
    expect(await third.stop()).toBe(0)
    expect(await ours.stop()).toBe(0)
    expect((await scene.restored()).trim()).toBe(stateLines(await third.logs()).at(-1))
    // None of it broke the chain: one generation from the beginning to the end.
    expect((await ours.logs()).match(/sync: new generation/g)).toHaveLength(1)
  })

  test('our container is thrown away: a new one continues, or says why it cannot', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const application = await scene.application(60)
    const killed = await scene.litestream()
    await killed.line(SNAPSHOT)
    await killed.remove()
    await application.line(/^all written/)

    const second = await scene.litestream()
    await second.line(/msg="continuing generation" .*position=/)
    expect(await second.stop()).toBe(0)
    expect((await scene.restored()).trim()).toBe(stateLines(await application.logs()).at(-1))

    // What happens to the WAL while nobody watches leaves no proof.
    await scene.ask('checkpoint', DATABASE)
    const next = await scene.application(90)
    await next.line(/^all written/)
    const third = await scene.litestream()
    expect(await third.line(/sync: new generation/)).toMatch(/reason="[^"]+"/)
    await third.line(SNAPSHOT)
    expect(await third.stop()).toBe(0)
    expect((await scene.restored()).trim()).toBe(stateLines(await next.logs()).at(-1))
  })
})

describe('what inotify tells of a writable volume while we come and go', () => {
  // As root, SQLite gives -wal and -shm to the database's owner whenever it opens them. They are his already.
  const byRoot = ['change production.sqlite3-wal', 'change production.sqlite3-shm']
  test.for([
    ['as 1000:1000: nothing', USER, []],
    ['as root: nothing but that -wal and -shm keep their owner', '0:0', byRoot],
  ] as const)('%s', async ([, user, attached], context) => {
    const scene = await makeScene(context, { mount: 'rw', storage: 'directory', user })
    const application = await scene.application(30)
    await application.line(/^all written/)
    expect(await eventsWhileWeComeAndGo(scene, 'while-it-is-open')).toEqual(attached)
    expect(await application.stop()).toBe(0)
    expect(await eventsWhileWeComeAndGo(scene, 'while-it-is-closed')).toEqual([])
  })
})

/** `marker` names a file that is created in the end: whatever happened before was told before. */
async function eventsWhileWeComeAndGo(scene: Scene, marker: string): Promise<string[]> {
  const before = await scene.listing()
  const watching = await scene.background('watch', STORAGE)
  await watching.line(/^watching/)
  const ours = await scene.litestream()
  await ours.line(/msg="(snapshot written|continuing generation)"/)
  expect(await ours.stop()).toBe(0)
  expect(await scene.listing()).toBe(before)
  await scene.ask('touch', `${STORAGE}/${marker}`)
  await watching.line(new RegExp(marker))
  const events = (await watching.logs()).split('\n').slice(1, -1)
  return events.filter((event) => !event.endsWith(marker))
}

test('the image is a drop-in: entry point, name twice, shell, health check, versions', async (context) => {
  await needDocker(context)
  const docker = (options: string[], ...words: string[]) =>
    run('docker', ['run', '--rm', ...options, OUR_IMAGE, ...words])
  expect(await docker([], 'version')).toMatchObject({ code: 0, stdout: 'v0.1.0\n' })
  expect(await docker(['--user', USER, ...hardened], 'litestream', 'version')).toMatchObject({
    code: 0,
    stdout: 'v0.1.0\n',
  })
  expect(await docker([])).toMatchObject({ code: 1, stdout: expect.stringContaining('litestream <command>') })
  const missing = await docker([], 'replicate')
  expect([missing.code, missing.stdout]).toEqual([1, ''])
  expect(missing.stderr).toContain('/etc/litestream.yml')
  const shell = await docker(['--entrypoint', '/bin/sh'], '-c', 'litestream databases || exit 1; echo healthy')
  expect([shell.code, shell.stdout]).toEqual([1, ''])
  const node = await docker(['--entrypoint', 'sh'], '-c', 'node --version; id -u; ls /opt/litestream/node_modules')
  expect(node.stdout).toMatch(/^v24\..*\n0\n/)
  expect(node.stdout).not.toMatch(/vitest|typescript/)
})
