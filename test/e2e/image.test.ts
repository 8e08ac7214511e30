// What the image promises beyond running: what is in it, what process 1 owes, and an end within Docker's ten seconds that ships the
// last commit, under full load and when nobody reads the log any more. The deployment itself is containers.test.ts.

import { beforeAll, describe, expect, test } from 'vitest'
import { type Container, OUR_IMAGE, prepareImages, runContainer } from '../support/containers/docker.js'
import { DATABASE, HARDENED, makeScene, type Scene, stateLines, USER } from '../support/containers/scene.js'
import { mustRun } from '../support/process.js'
import { needDocker } from '../support/programs.js'
import { until } from '../support/until.js'

beforeAll(prepareImages, 25 * 60_000)

const SNAPSHOT = /msg="snapshot written"/
const MEGABYTE = 1e6
const sizeOf = async (image: string): Promise<number> =>
  Number((await mustRun('docker', ['image', 'inspect', '--format', '{{.Size}}', image])).stdout)
const inImage = (script: string) => runContainer(['--entrypoint', 'sh'], OUR_IMAGE, ['-c', script])

/** Loads every package with every entry point that its manifest names, as the SDK does late with its providers of credentials. */
const LOAD_ALL = `
  import { readdirSync, readFileSync } from 'node:fs'
  const modules = '/opt/litestream/node_modules/'
  const inScope = (scope) => readdirSync(modules + scope).map((name) => scope + '/' + name)
  const names = readdirSync(modules).flatMap((name) => (name.startsWith('@') ? inScope(name) : [name]))
  let loaded = 0
  for (const name of names) {
    const { exports } = JSON.parse(readFileSync(modules + name + '/package.json', 'utf8'))
    const keys = name.startsWith('@') && typeof exports === 'object' ? Object.keys(exports).filter((key) => /^\\.(\\/[\\w/-]+)?$/.test(key)) : []
    for (const key of keys.length > 0 ? keys : ['.']) {
      await import(name + key.slice(1))
      loaded++
    }
  }
  console.log(loaded)`

describe('what is in the image', () => {
  test('at most 120 MB more than its base, and only what runs', async (context) => {
    await needDocker(context)
    expect((await sizeOf(OUR_IMAGE)) - (await sizeOf('node:24-bookworm-slim'))).toBeLessThan(120 * MEGABYTE)
    const files = (await inImage('cd /opt/litestream; find . -type f')).trim().split('\n')
    expect(files).toEqual(expect.arrayContaining(['./dist/cli/main.js', './LICENSE', './bin/litestream']))
    expect(
      files.filter((file) => /\.([cm]?ts|map|c|cc|h|o|a)$|\/(vitest|typescript|npm|prebuild-install)\//.test(file)),
    ).toEqual([])
    // One build of each native module: this platform's.
    expect(files.filter((file) => file.endsWith('.node'))).toHaveLength(2)
  })

  test('every package in it can be loaded', async (context) => {
    await needDocker(context)
    const node = ['--workdir', '/opt/litestream', '--entrypoint', 'node']
    const loaded = await runContainer(node, OUR_IMAGE, ['--input-type=module', '--eval', LOAD_ALL])
    expect(Number(loaded)).toBeGreaterThan(50)
  })

  test('the command can be taken into another image with Node, with no Node on PATH', async (context) => {
    await needDocker(context)
    expect(await inImage('PATH=/nowhere /opt/litestream/bin/litestream version')).toBe('v0.1.0\n')
  })
})

describe('process 1', () => {
  test('orphans of a health check or of an -exec program are reaped', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const ours = await scene.litestream([], ['replicate', '-exec', "sh -c '(sleep 0.211 &); exec sleep 1000'"])
    await ours.line(/no database found yet/)
    await ours.exec('sh', '-c', 'sleep 0.212 & exit 0')
    // A zombie keeps its name in /proc, though its command line is empty: what is left is the program of -exec.
    const script =
      'for stat in /proc/[0-9]*/stat; do read -r pid name state rest < $stat; echo $name $state; done 2>/dev/null'
    const sleeping = async () =>
      (await ours.exec('sh', '-c', script)).stdout.split('\n').filter((line) => /^\(sleep\)/.test(line))
    await until(async () => (await sleeping()).length === 1, { what: 'the orphans to be gone' })
    expect(await sleeping()).toEqual(['(sleep) S'])
    expect(await ours.stop()).toBe(0)
  })

  test('a signal in the very first moment counts', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const ours = await scene.litestream()
    // 143 while Node is starting and has no handler yet, 0 from then on; 137 would mean that Docker waited ten seconds.
    expect([0, 143]).toContain(await ours.stop())
  })

  test('the command of a second process is Node itself', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const ours = await scene.litestream()
    await ours.line(/no database found yet/)
    const argv = await ours.exec('sh', '-c', "tr '\\0' ' ' < /proc/1/cmdline; echo; cat /proc/1/task/1/children")
    expect(argv.stdout).toMatch(
      /^\/usr\/bin\/tini -- \/usr\/local\/bin\/node \/opt\/litestream\/bin\/litestream replicate \n\d+ $/,
    )
    expect(await ours.stop()).toBe(0)
  })
})

const idOf = (line: string | undefined): number => Number.parseInt(line ?? '', 10)

/** An application that writes as fast as it can, and how far it has come. */
async function busyApplication(scene: Scene): Promise<{ application: Container; newest: () => Promise<number> }> {
  const application = await scene.background('write', DATABASE, 'Infinity', '0')
  await application.line(/^200 /)
  return { application, newest: async () => idOf(stateLines(await application.logs()).at(-1)) }
}

describe('an end with a last sync', () => {
  test('SIGTERM under full write load: within Docker’s ten seconds, exit 0, nothing that was committed is missing', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'minio' })
    const { application, newest } = await busyApplication(scene)
    const ours = await scene.litestream()
    await ours.line(SNAPSHOT)
    const before = await newest()
    expect(await ours.stop()).toBe(0)
    const restored = (await scene.restored()).trim()
    expect(idOf(restored)).toBeGreaterThanOrEqual(before)
    expect(await application.stop()).toBe(0)
    // A state that the application had, to the last byte.
    expect(stateLines(await application.logs())).toContain(restored)
  })

  test('nobody reads the log any more (EPIPE): exit 0, nothing that was committed is missing', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory' })
    const { application, newest } = await busyApplication(scene)
    const reader = 'exec 3<&0; cat <&3 & until test -e /tmp/go; do sleep 0.1; done; kill $!'
    const script = `{ litestream replicate; echo "it ended with $?" >&2; } | { ${reader}; }`
    const ours = await scene.litestream(['--entrypoint', 'sh'], ['-c', script])
    await ours.line(SNAPSHOT)
    const before = await newest()
    await ours.exec('touch', '/tmp/go')
    expect(await ours.line(/^it ended with/)).toBe('it ended with 0')
    const restored = (await scene.restored()).trim()
    expect(idOf(restored)).toBeGreaterThanOrEqual(before)
    expect(await application.stop()).toBe(0)
    expect(stateLines(await application.logs())).toContain(restored)
  })
})

describe('a read-only root file system', () => {
  test.for([
    ['without /tmp: told at the start, and a transaction larger than usual waits in memory', [], true],
    ['with a tmpfs: it waits there', ['--tmpfs', '/tmp'], false],
  ] as const)('%s', async ([, options, told], context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory', user: USER })
    const application = await scene.application(20)
    await application.line(/^all written/)
    const ours = await scene.litestream([...HARDENED, ...options])
    await ours.line(SNAPSHOT)
    await scene.ask('fill', DATABASE, '60')
    await ours.line(/wal segment written.*sz=6\d{7}/)
    expect(await scene.restored()).toBe(await scene.ask('state', DATABASE))
    expect(await ours.stop()).toBe(0)
    const logs = await ours.logs()
    expect(/level=WARN msg="large transactions have to wait in memory".*--tmpfs/.test(logs)).toBe(told)
    expect(logs.match(/sync: new generation/g)).toHaveLength(1)
  })
})

describe('the health check in a container with a read-only root, as 1000:1000', () => {
  test.for([
    ['without /tmp', []],
    ['with a tmpfs', ['--tmpfs', '/tmp']],
  ] as const)('%s: it asks the daemon', async ([, options], context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory', user: USER })
    const ours = await scene.litestream(['--read-only', ...options])
    await ours.line(/no database found yet/)
    // Nothing but the files would be looked at where no daemon is found: this is what only the daemon knows.
    const asked = async () => JSON.parse((await ours.exec('litestream', 'status', '-json')).stdout).daemon
    expect(await asked()).toMatchObject({ running: true })
    const application = await scene.application(20)
    await application.line(/^all written/)
    await until(async () => (await ours.exec('litestream', 'databases')).code === 0, { what: 'healthy' })
    // Asked by root, as a health check of an image whose user was changed at run time.
    const byRoot = await mustRun('docker', ['exec', '--user', '0', ours.id, 'litestream', 'databases'])
    expect(byRoot.stderr).toBe('')
    expect(await ours.logs()).not.toContain('no control socket')
    expect(await ours.stop()).toBe(0)
  })

  test('without any place for a socket: told at the start with what to do, and the daemon does its work', async (context) => {
    const scene = await makeScene(context, { mount: 'ro', storage: 'directory', user: USER })
    const application = await scene.application(20)
    await application.line(/^all written/)
    // No /dev/shm either.
    const ours = await scene.litestream(['--read-only', '--ipc', 'none'])
    expect(await ours.line(/no control socket/)).toMatch(/level=WARN .*set socket\.path to a writable place/)
    await ours.line(SNAPSHOT)
    await scene.ask('fill', DATABASE, '1')
    await ours.line(/wal segment written/)
    expect(await ours.exec('litestream', 'databases')).toMatchObject({ code: 0, stderr: '' })
    expect(await ours.stop()).toBe(0)
    expect(await scene.restored()).toBe(await scene.ask('state', DATABASE))
  })
})
