// The real deployment: an application and our image in two containers that share a volume. Ours sees it read-only or writable, as
// root or as the application's user; the volume must look as it does without us, and the replica must hold exactly what the
// application committed. The application (support/containers) is an ordinary user of SQLite and runs as 1000:1000.

import { beforeAll, describe, expect, type TestContext, test } from 'vitest'
import { OUR_IMAGE, prepareImages } from '../support/containers/docker.js'
import {
  DATABASE,
  HARDENED,
  makeScene,
  type Scene,
  type SceneOptions,
  STORAGE,
  stateLines,
  USER,
} from '../support/containers/scene.js'
import { run } from '../support/process.js'
import { needDocker } from '../support/programs.js'

beforeAll(prepareImages, 25 * 60_000)

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

const places: Record<string, SceneOptions & { readonly options?: readonly string[] }> = {
  'read-only, root, to a directory': { mount: 'ro', storage: 'directory' },
  'read-only, root, to MinIO': { mount: 'ro', storage: 'minio' },
  'read-only, 1000:1000, hardened, to a directory': {
    mount: 'ro',
    storage: 'directory',
    user: USER,
    options: HARDENED,
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
  expect(await docker(['--user', USER, ...HARDENED], 'litestream', 'version')).toMatchObject({
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
