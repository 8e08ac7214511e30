// How `replicate` ends, and what it leaves: signals, `-exec`, a reader of its log that goes away. However it ends, what is committed by
// then is in the replica; nothing stays behind. Also the log's JSON form and its silence about secrets.

import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { minioServer } from '../support/minio.js'
import { distMain } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  childrenOf,
  expectGoodEnd,
  filesBelow,
  fileTarget,
  messagesOf,
  restoredRows,
  s3Target,
  s3Yaml,
  startReplicate,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

function setUp() {
  const directory = tempDirectory('stop')
  const app = new App(join(directory, 'storage', 'app.db'))
  const replica = join(directory, 'replica')
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`
  return { directory, app, replica, yaml }
}

/** A shell script as the command of `-exec`. */
function script(directory: string, text: string): string {
  const path = join(directory, 'child.sh')
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s: exit 0, the last commit shipped, nothing left', async (signal) => {
  const { directory, app, replica } = setUp()
  const temporary = join(directory, 'tmp')
  mkdirSync(temporary)
  const before = filesBelow(join(directory, 'storage'))
  const daemon = await startReplicate([app.path, `file://${replica}`], { env: { TMPDIR: temporary } })
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  // sync-interval is a second: the second change is still waiting when the signal comes.
  app.write('second')
  app.write('third')
  const children = childrenOf(daemon.pid)
  const end = await daemon.stop(signal)
  expectGoodEnd(end)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  expect(messagesOf(end.stdout)).toContain('signal received, litestream shutting down')
  expect(messagesOf(end.stdout).at(-1)).toBe('litestream shut down')
  expect(children).toEqual([])
  expect(readdirSync(temporary)).toEqual([])
  expect(filesBelow(join(directory, 'storage'))).toEqual(before)
  expect(filesBelow(replica).filter((name) => !/\.lz4$/.test(name))).toEqual([])
})

test('several signals in a row do not cut the last sync off', async () => {
  const { directory, app, replica, yaml } = setUp()
  const daemon = await startWithConfig(directory, yaml)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('last')
  for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGTERM'] as const) daemon.kill(signal)
  expectGoodEnd(await daemon.finished)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
})

test.each([0, 100, 700] as const)(
  'asked to stop %i ms after it began: what changed while it was away is shipped',
  async (afterMs) => {
    const { directory, app, replica, yaml } = setUp()
    const before = await startWithConfig(directory, yaml)
    app.write('first')
    await untilReplicated(app, fileTarget(replica), directory)
    expectGoodEnd(await before.stop())
    app.write('while nobody watched')
    // As a restore leaves it: no WAL, and written a moment ago.
    app.close()
    const daemon = await startWithConfig(directory, yaml)
    await daemon.waitForLine(/replicating to/)
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    expectGoodEnd(await daemon.stop())
    expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  },
)

test('-exec: when the child ends well, so does the daemon, after a last sync', async () => {
  const { directory, app, replica, yaml } = setUp()
  const go = join(directory, 'go')
  const child = script(directory, `echo "hello from $1 $2"; until test -e ${go}; do sleep 0.05; done`)
  const daemon = await startWithConfig(directory, yaml, ['-exec', `${child} 'the child' "it'self"`])
  await daemon.waitForLine(/^hello from the child it'self$/)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('last')
  writeFileSync(go, '')
  const end = await daemon.finished
  expectGoodEnd(end)
  expect(messagesOf(end.stdout)).toContain('subprocess exited, litestream shutting down')
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
})

test.each([
  ['exit 7', 'exit status 7'],
  ['kill -KILL $$', 'signal: killed'],
])('-exec: when the child fails (%s), exit 1 with the reason, after a last sync', async (ending, reason) => {
  const { directory, app, replica, yaml } = setUp()
  const go = join(directory, 'go')
  const child = script(directory, `until test -e ${go}; do sleep 0.05; done; ${ending}`)
  const daemon = await startWithConfig(directory, yaml, ['-exec', child])
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('last')
  writeFileSync(go, '')
  const end = await daemon.finished
  expect(end.code, end.stdout).toBe(1)
  expect(end.stdout).toContain(`msg="failed to run" error="${reason}"`)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
})

test.each([
  ['SIGTERM', 'exit 0', 0],
  ['SIGINT', 'exit 0', 0],
  // Litestream leaves out the last sync here; we never do.
  ['SIGTERM', 'exit 143', 1],
] as const)('-exec: %s is forwarded, and a child that says "%s" is waited for', async (signal, ending, code) => {
  const { directory, app, replica, yaml } = setUp()
  const goodbye = join(directory, 'goodbye')
  const name = signal.slice(3)
  // It takes its time, and commits once more: replication goes on until it is gone.
  const child = script(
    directory,
    `trap 'echo got ${name}; until test -e ${goodbye}; do sleep 0.05; done; ${ending}' ${name}\necho ready\nwhile :; do sleep 0.05; done`,
  )
  const daemon = await startWithConfig(directory, yaml, ['-exec', child])
  await daemon.waitForLine(/^ready$/)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  daemon.kill(signal)
  await daemon.waitForLine(new RegExp(`^got ${name}$`))
  app.write('while the child shuts down')
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('at the very end')
  writeFileSync(goodbye, '')
  const end = await daemon.finished
  expect(end.code, end.stdout).toBe(code)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  const messages = messagesOf(end.stdout)
  const said = ['signal received, litestream shutting down', 'sending signal to exec process']
  expect(messages.filter((message) => said.includes(message))).toEqual(said)
  expect(messages).toContain('waiting for exec process to close')
  expect(messages).toContain('litestream shut down')
})

test('-exec: a child that dies of the signal did what it was asked to', async () => {
  const { directory, app, replica, yaml } = setUp()
  const daemon = await startWithConfig(directory, yaml, ['-exec', 'sleep 1000'])
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  const [child] = childrenOf(daemon.pid) as [number]
  app.write('last')
  expectGoodEnd(await daemon.stop())
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
  expect(() => process.kill(child, 0)).toThrow('ESRCH')
})

test('-exec: a command that cannot be started is an error at once', async () => {
  const { directory, yaml } = setUp()
  const daemon = await startWithConfig(directory, yaml, ['-exec', join(directory, 'nothing-here')])
  const end = await daemon.finished
  expect(end.code).toBe(1)
  expect(end.stdout + end.stderr).toMatch(/cannot start exec command: .*ENOENT/)
})

test('when nobody reads its log any more, it ends with a last sync', async () => {
  const { directory, app, replica } = setUp()
  const args = [await distMain(), 'replicate', app.path, `file://${replica}`]
  const daemon = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void daemon.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => daemon.on('exit', (code) => resolve(code)))
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  daemon.stdout.destroy()
  // The next log line finds out.
  app.write('second')
  app.write('last')
  expect(await ended).toBe(0)
  expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
})

test('logging.type json: every line is an object with time, level and msg', async () => {
  const { directory, app, replica, yaml } = setUp()
  const daemon = await startWithConfig(directory, `${yaml}logging: {type: json, level: debug}\n`)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  const lines = end.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  for (const line of lines) {
    expect(Object.keys(line).slice(0, 3)).toEqual(['time', 'level', 'msg'])
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)$/)
    expect(['DEBUG', 'INFO', 'WARN', 'ERROR']).toContain(line.level)
  }
  expect(lines.find(({ msg }) => msg === 'replicating to')).toMatchObject({
    level: 'INFO',
    name: 'file',
    type: 'file',
    'sync-interval': 20_000_000,
    path: replica,
  })
  const written = lines.find(({ msg }) => msg === 'snapshot written')
  expect(written).toMatchObject({ db: app.path, replica: 'file', elapsed: expect.any(Number), sz: expect.any(Number) })
})

test.each(['text', 'json'])('secrets are in no log line, at debug level (%s)', async (type) => {
  const { directory, app } = setUp()
  const minio = await minioServer()
  const bucket = await minio.createBucket('secrets')
  const wrong = 'a-wrong-secret-"with\\quotes'
  const daemon = await startWithConfig(
    directory,
    `logging: {type: ${type}, level: debug}
dbs:
- path: ${app.path}
  monitor-interval: 20ms
  replicas:
  - {name: right, ${s3Yaml(minio, bucket, 'right')}, sync-interval: 20ms}
  - {name: wrong, ${s3Yaml(minio, bucket, 'wrong', wrong.replaceAll(/["\\]/g, '\\$&'))}, sync-interval: 20ms}
`,
  )
  app.write('first')
  await untilReplicated(app, s3Target(minio, bucket, 'right'), directory)
  await daemon.waitForLine(/monitor error/)
  const { stdout, stderr } = await daemon.stop()
  expect(stdout).toContain('snapshot written')
  for (const secret of [minio.secretAccessKey, wrong, 'with\\\\quotes', encodeURIComponent(wrong)]) {
    expect(stdout + stderr).not.toContain(secret)
  }
})

test('while it runs it writes nothing beside the database and holds it open read-only', async () => {
  const { directory, app, replica, yaml } = setUp()
  const daemon = await startWithConfig(directory, yaml)
  app.write('first')
  await untilReplicated(app, fileTarget(replica), directory)
  const storage = join(directory, 'storage')
  expect(readdirSync(storage).sort()).toEqual(['app.db', 'app.db-shm', 'app.db-wal'])
  // Access modes of its descriptors on the database file; O_RDONLY is 0.
  const modes = readdirSync(`/proc/${daemon.pid}/fd`)
    .filter((fd) => linkOf(`/proc/${daemon.pid}/fd/${fd}`) === app.path)
    .map(
      (fd) =>
        Number.parseInt(
          readFileSync(`/proc/${daemon.pid}/fdinfo/${fd}`, 'utf8').match(/flags:\s+(\d+)/)?.[1] ?? '',
          8,
        ) & 3,
    )
  expect(modes.length).toBeGreaterThan(0)
  expect(modes.filter((mode) => mode !== 0)).toEqual([])
  expectGoodEnd(await daemon.stop())
  // Its locks are gone: the application can take the database for itself.
  app.close()
  const alone = new Database(app.path)
  onTestFinished(() => void alone.close())
  await until(() => alone.pragma('journal_mode = DELETE', { simple: true }) === 'delete')
  expect(readdirSync(storage)).toEqual(['app.db'])
})

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined // closed in the meantime
  }
}
