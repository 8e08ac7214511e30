// What an operator sees of the real daemon: `litestream status` beside it and after it has stopped, a scrape of `addr`, and the
// control socket where the usual temporary directory cannot be used. On directories as replicas.

import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../support/minio-server.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { App, fileTarget, startWithConfig, untilReplicated } from './replicating.js'

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const POSITION = /^[0-9a-f]{16}\/[0-9a-f]{8}:\d+$/

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Prometheus' text format 0.0.4, strictly: every line is a comment or a sample of a family whose type was told before. */
function parsePrometheus(text: string): Sample[] {
  expect(text.endsWith('\n')).toBe(true)
  const types = new Map<string, string>()
  const samples: Sample[] = []
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line)
    if (type) types.set(type[1] as string, type[2] as string)
    if (type || /^# HELP [a-zA-Z_:][\w:]* \S/.test(line)) continue
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (N[Aa][Nn]|[+-]Inf|[-+.\deE]+)$/.exec(line)
    if (!sample) throw new Error(`no line of the format: ${line}`)
    const [, name, list = '', value] = sample as unknown as [string, string, string | undefined, string]
    expect(list, line).toMatch(/^(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?=.)|$))*$/)
    const labels = Object.fromEntries(
      [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key as string, text as string]),
    )
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
    expect(types.has(family), `${name} has a type`).toBe(true)
    samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) })
  }
  return samples
}

test('status beside the daemon, for programs and for one database, and from the replicas alone once it has stopped', async () => {
  const directory = tempDirectory('status')
  const apps = ['one', 'two'].map((name) => new App(join(directory, 'storage', `${name}.db`))) as [App, App]
  const entries = apps.map(
    ({ path }, i) =>
      `- {path: ${path}, monitor-interval: 50ms, replicas: [{path: ${directory}/replica/${i}, sync-interval: 50ms}]}\n`,
  )
  const yaml = `socket: {path: ${directory}/control.sock}\ndbs:\n${entries.join('')}`
  for (const app of apps) app.write('first')
  const daemon = await startWithConfig(directory, yaml)
  const status = (...args: string[]) => runOurs(['status', '-config', join(directory, 'litestream.yml'), ...args])
  for (const [i, app] of apps.entries()) {
    await untilReplicated(app, fileTarget(`${directory}/replica/${i}`), directory)
  }
  const beside = await until(
    async () => {
      const { code, stdout } = await status('-json')
      const answer = JSON.parse(stdout)
      const settled = answer.databases.every(
        (one: { replicas: { state: string }[] }) => one.replicas[0]?.state === 'ok',
      )
      return code === 0 && settled && answer
    },
    { what: 'both to be ok', timeoutMs: 60_000 },
  )
  expect(beside.daemon).toEqual({ running: true, pid: daemon.pid, version: expect.any(String) })
  expect(beside.databases.map(({ path }: { path: string }) => path)).toEqual(apps.map(({ path }) => path))
  for (const [i, one] of beside.databases.entries()) {
    const { path } = apps[i] as App
    expect(one).toMatchObject({
      state: 'ok',
      bytes: statSync(path).size,
      walBytes: statSync(`${path}-wal`).size,
      replicas: [{ name: 'file', type: 'file', secondsBehind: 0, bytesBehind: 0 }],
    })
    const [replica] = one.replicas
    for (const key of ['lastUpload', 'lastSnapshot', 'oldestRestorable', 'newestRestorable']) {
      expect(replica[key], key).toMatch(RFC3339)
    }
    expect(replica.position).toMatch(POSITION)
    expect(replica.bytes).toBeGreaterThan(0)
    expect(replica.objects).toBeGreaterThan(0)
  }
  const text = await status()
  expect(text).toMatchObject({ code: 0, stderr: '' })
  for (const { path } of apps) expect(text.stdout).toContain(`${path}: ok (`)
  expect(text.stdout).toMatch(/^replica +state +behind +waiting +uploaded +snapshot +validated +oldest +newest +size$/m)
  const one = await status(apps[1].path)
  expect(one).toMatchObject({ code: 0, stderr: '' })
  expect(one.stdout).toContain(`${apps[1].path}: ok (`)
  expect(one.stdout).not.toContain(apps[0].path)
  expect(await status(join(directory, 'other.db'))).toMatchObject({ code: 1, stdout: '' })

  expect(await daemon.stop()).toMatchObject({ code: 0 })
  const after = await status('-json')
  expect(after).toMatchObject({ code: 0, stderr: '' })
  const alone = JSON.parse(after.stdout)
  expect(alone.daemon).toEqual({ running: false })
  for (const database of alone.databases) {
    expect(database).toMatchObject({ state: 'readable', reason: 'no daemon serves it here' })
    const [replica] = database.replicas
    expect(replica.state).toBe('restorable')
    for (const key of ['lastUpload', 'lastSnapshot', 'oldestRestorable', 'newestRestorable']) {
      expect(replica[key], key).toMatch(RFC3339)
    }
    expect(replica.secondsBehind).toBeUndefined()
  }
  const rest = await status(apps[0].path)
  expect(rest).toMatchObject({ code: 0, stderr: '' })
  expect(rest.stdout).toMatch(/^file +restorable +- /m)

  // The replica of the second one is gone: told, and by the exit status.
  renameSync(`${directory}/replica/1`, `${directory}/gone`)
  const without = await status('-json')
  expect(without.code).toBe(1)
  const states = JSON.parse(without.stdout).databases.map(
    (two: { replicas: { state: string }[] }) => two.replicas[0]?.state,
  )
  expect(states).toEqual(['restorable', 'empty'])
}, 180_000)

test('a scrape of addr: Prometheus text that follows a commit, and probes that follow the replica', async () => {
  const directory = tempDirectory('status')
  const app = new App(join(directory, 'storage', 'app.db'))
  app.write('first')
  const port = await freePort()
  const replica = `${directory}/replica`
  // Nothing can be made below a regular file, by nobody.
  writeFileSync(replica, '')
  await startWithConfig(
    directory,
    `addr: 127.0.0.1:${port}
socket: {path: ${directory}/control.sock}
dbs: [{path: ${app.path}, monitor-interval: 50ms, replicas: [{path: ${replica}, sync-interval: 50ms, max-behind: 1s}]}]
`,
  )
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }
  const untilAnswer = async (path: string, status: number) =>
    await until(async () => (await get(path)).status === status, { what: `${path} to be ${status}`, timeoutMs: 60_000 })
  const scrape = async () => {
    const { status, type, body } = await get('/metrics')
    expect({ status, type }).toEqual({ status: 200, type: expect.stringMatching(/^text\/plain; version=0\.0\.4/) })
    const samples = parsePrometheus(body).filter(({ labels }) => labels.db === app.path)
    return (name: string): number | undefined => samples.find((one) => one.name === `litestream_${name}`)?.value
  }

  await until(async () => (await get('/healthz')).body.includes(`${app.path} file: failing: `), { timeoutMs: 60_000 })
  expect(await get('/healthz')).toMatchObject({ status: 503 })
  expect(await get('/readyz')).toMatchObject({ status: 503, body: expect.stringContaining(app.path) })
  renameSync(replica, `${directory}/in-the-way`)
  await untilAnswer('/readyz', 200)
  await untilAnswer('/healthz', 200)
  expect(await get('/healthz')).toMatchObject({ body: 'ok\n' })
  await untilReplicated(app, fileTarget(replica), directory)

  const before = await until(
    async () => {
      const metric = await scrape()
      return metric('replica_seconds_behind') === 0 ? metric : undefined
    },
    { what: 'nothing to be behind' },
  )
  expect(before('db_size')).toBe(statSync(app.path).size)
  expect(before('replica_healthy')).toBe(1)
  const success = before('replica_last_success_timestamp_seconds') as number
  expect(Math.abs(success - Date.now() / 1000)).toBeLessThan(600)

  app.write('second')
  const after = await until(
    async () => {
      const metric = await scrape()
      const later = (metric('replica_last_success_timestamp_seconds') as number) > success
      return later && metric('replica_seconds_behind') === 0 ? metric : undefined
    },
    { what: 'the commit to be in the metrics' },
  )
  for (const name of ['replica_wal_bytes', 'total_wal_bytes']) {
    expect(after(name), name).toBeGreaterThan(before(name) as number)
  }

  // The directory becomes unusable under a running daemon, and is put back.
  renameSync(replica, `${directory}/kept`)
  writeFileSync(replica, '')
  app.write('third')
  await untilAnswer('/healthz', 503)
  const failing = await scrape()
  expect(failing('replica_healthy')).toBe(0)
  renameSync(replica, `${directory}/in-the-way`)
  renameSync(`${directory}/kept`, replica)
  await untilAnswer('/healthz', 200)
  await untilAnswer('/readyz', 200)
  await untilReplicated(app, fileTarget(replica), directory)

  for (const path of ['/', '/metrics/', '/debug/pprof/', '/control', '/constructor']) {
    expect(await get(path), path).toMatchObject({ status: 404 })
  }
}, 240_000)

test.each(['socket.path', 'meta-path'])(
  'TMPDIR cannot be used: the control socket is where %s says',
  async (key) => {
    const directory = tempDirectory('status')
    const app = new App(join(directory, 'storage', 'app.db'))
    app.write('first')
    // A regular file: nothing can be made below it, not even by root.
    const TMPDIR = join(directory, 'no-directory')
    writeFileSync(TMPDIR, '')
    const meta = join(directory, 'meta')
    mkdirSync(meta)
    const [top, own] =
      key === 'socket.path' ? [`socket: {path: ${directory}/run/control.sock}\n`, ''] : ['', `meta-path: ${meta}, `]
    const replica = `${directory}/replica`
    const yaml = `${top}dbs: [{path: ${app.path}, ${own}monitor-interval: 50ms, replicas: [{path: ${replica}, sync-interval: 50ms}]}]\n`
    const daemon = await startWithConfig(directory, yaml, [], { env: { TMPDIR } })
    const command = (...args: string[]) =>
      runOurs([...args, '-config', join(directory, 'litestream.yml')], { env: { TMPDIR } })
    await until(
      async () => {
        // Before there is a socket no daemon serves this configuration, and only the files are looked at.
        if (!JSON.parse((await command('status', '-json')).stdout).daemon.running) return false
        const { code, stderr } = await command('databases')
        return code === 0 && stderr === ''
      },
      { what: 'the daemon to be healthy', timeoutMs: 60_000 },
    ).catch((cause) => {
      throw new Error(daemon.output(), { cause })
    })
    expect(JSON.parse((await command('status', '-json')).stdout).daemon).toMatchObject({ pid: daemon.pid })
    // It was asked: a daemon that does not answer is a fault.
    daemon.kill('SIGKILL')
    await daemon.finished
    const dead = await command('databases')
    expect(dead.code).toBe(1)
    expect(dead.stderr).toContain(`nobody answers at ${key === 'meta-path' ? meta : `${directory}/run/control.sock`}`)
  },
  120_000,
)
