// `litestream verify`: its three outcomes by the real command, with the source and without it, on a directory and on MinIO.

import { mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openReplica, type ReplicaTarget } from '../../src/replica/open.js'
import { minioServer } from '../support/minio.js'
import type { Finished, Running } from '../support/process.js'
import { runOurs } from '../support/programs.js'
import { tamperWithPage } from '../support/tamper.js'
import { tempDirectory } from '../support/temp.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  s3Target,
  s3Yaml,
  segmentsIn,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

interface Outcome {
  readonly database: string
  readonly replica: string
  readonly outcome: string
  readonly reason: string
  readonly pageCount: number
}

interface Setting {
  readonly directory: string
  readonly app: App
  readonly target: ReplicaTarget
  start(): Promise<Running>
  /** With -json; also checks that nothing was left behind. */
  verify(...args: string[]): Promise<{ code: number; outcomes: Outcome[]; stderr: string }>
  tamper(): Promise<void>
}

async function setUp(kind: 'file' | 's3'): Promise<Setting> {
  const directory = tempDirectory('verify')
  const app = new App(join(directory, 'storage', 'app.db'))
  const temporary = join(directory, 'tmp')
  mkdirSync(temporary)
  let target: ReplicaTarget
  let fields: string
  if (kind === 'file') {
    target = fileTarget(join(directory, 'replica'))
    fields = `path: ${join(directory, 'replica')}`
  } else {
    const minio = await minioServer()
    const bucket = await minio.createBucket('verify')
    target = s3Target(minio, bucket, 'app')
    fields = s3Yaml(minio, bucket, 'app')
  }
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{${fields}, sync-interval: 50ms}]}]\n`
  const config = join(directory, 'litestream.yml')
  writeFileSync(config, yaml)
  return {
    directory,
    app,
    target,
    start: () => startWithConfig(directory, yaml),
    async verify(...args) {
      const storage = join(directory, 'storage')
      const before = readdirSync(storage)
      const flags = args.some((arg) => arg.includes('://')) ? [] : ['-config', config]
      const options = { env: { TMPDIR: temporary } }
      const { code, stdout, stderr } = await runOurs(['verify', ...flags, '-json', ...args], options)
      expect(readdirSync(temporary)).toEqual([])
      expect(readdirSync(storage)).toEqual(before)
      return { code, outcomes: JSON.parse(stdout) as Outcome[], stderr }
    },
    async tamper() {
      const client = await openReplica(target)
      for await (const { key } of client.list('generations/')) {
        if (key.includes('/snapshots/')) await tamperWithPage(client, key, 3, 4096)
      }
      await client.close()
    },
  }
}

/** Commits while something else goes on. */
function keepWriting(app: App): () => void {
  const timer = setInterval(() => {
    for (let i = 0; i < 5; i++) app.write(`meanwhile ${app.rows.length}`)
  }, 3)
  onTestFinished(() => clearInterval(timer))
  return () => clearInterval(timer)
}

describe.each(['file', 's3'] as const)('a %s replica', (kind) => {
  test('ok while the application writes, and when it is at rest; failed when one page was changed', async () => {
    const { directory, app, target, start, verify, tamper } = await setUp(kind)
    for (let i = 0; i < 12; i++) app.write('y'.repeat(1000))
    const daemon = await start()
    await untilReplicated(app, target, directory)
    const stopWriting = keepWriting(app)
    const busy = await verify()
    stopWriting()
    expect(busy).toMatchObject({ code: 0, outcomes: [{ database: app.path, outcome: 'ok', reason: '' }] })
    expect(busy.outcomes[0]?.pageCount).toBeGreaterThan(3)
    const idle = await verify(app.path)
    expect(idle).toMatchObject({ code: 0, outcomes: [{ outcome: 'ok' }] })
    await tamper()
    const changed = await verify('-timeout', '10s')
    expect(changed.code).toBe(1)
    expect(changed.outcomes).toMatchObject([
      { outcome: 'failed', reason: expect.stringMatching(/^1 of \d+ pages differ \(3\)$/) },
    ])
    expectGoodEnd(await daemon.stop())
  }, 120_000)

  test('inconclusive when the source is ahead and nobody ships, and ok again when somebody did', async () => {
    const { directory, app, target, start, verify } = await setUp(kind)
    app.write('first')
    const daemon = await start()
    await untilReplicated(app, target, directory)
    expectGoodEnd(await daemon.stop())
    app.write('later')
    const ahead = await verify('-timeout', '2s')
    expect(ahead.code).toBe(2)
    expect(ahead.outcomes).toMatchObject([
      { outcome: 'inconclusive', reason: expect.stringMatching(/the source has gone on/) },
    ])
    const again = await start()
    const waited = await verify()
    expect(waited).toMatchObject({ code: 0, outcomes: [{ outcome: 'ok' }] })
    expectGoodEnd(await again.stop())
  }, 120_000)
})

describe('without the source', () => {
  test('ok, failed and inconclusive by the URL of a replica', async () => {
    const { directory, app, target, start, verify } = await setUp('file')
    app.write('first')
    const daemon = await start()
    await untilReplicated(app, target, directory)
    app.write('second')
    await untilReplicated(app, target, directory)
    expectGoodEnd(await daemon.stop())
    const replica = join(directory, 'replica')
    const url = `file://${replica}`
    expect(await verify(url)).toMatchObject({ code: 0, outcomes: [{ database: '', outcome: 'ok' }] })
    expect(await verify('-timestamp', '2001-01-01T00:00:00Z', url)).toMatchObject({ code: 1 })
    truncateSync(join(replica, segmentsIn(replica)[0] as string), 100)
    const cut = await verify(url)
    expect(cut).toMatchObject({
      code: 1,
      outcomes: [{ outcome: 'failed', reason: expect.stringContaining('is damaged') }],
    })
    expect(await verify(`file://${directory}/nothing-here`)).toMatchObject({
      code: 1,
      outcomes: [{ outcome: 'failed', reason: 'there is no backup in it' }],
    })
    const minio = await minioServer()
    const env = { AWS_ACCESS_KEY_ID: minio.accessKeyId, AWS_SECRET_ACCESS_KEY: minio.secretAccessKey }
    const missing = await runOurs(
      ['verify', `s3://no-such-bucket.${minio.endpoint.replace('http://127.0.0.1', 'localhost')}/x`],
      { env },
    )
    expect(missing.code).toBe(2)
    expect(missing.stdout).toMatch(/inconclusive/)
  }, 120_000)

  test('a database of the configuration that is not on this machine: restored and checked', async () => {
    const { directory, app, target, start } = await setUp('file')
    app.write('first')
    const daemon = await start()
    await untilReplicated(app, target, directory)
    expectGoodEnd(await daemon.stop())
    const config = join(directory, 'elsewhere.yml')
    writeFileSync(config, `dbs: [{path: ${directory}/elsewhere/app.db, replicas: [{path: ${directory}/replica}]}]\n`)
    const { code, stdout }: Finished = await runOurs(['verify', '-config', config])
    expect(code).toBe(0)
    const [header, row] = stdout.split('\n')
    expect(header?.split(/\s+/)).toEqual(['database', 'replica', 'outcome', 'pages', 'position', 'reason'])
    expect(row).toMatch(/elsewhere\/app\.db +file +ok +\d+ +[0-9a-f]{16}\/00000000:\d+ +-/)
  }, 60_000)
})

test('all databases of a configuration, each with its outcome; the exit status is the worst', async () => {
  const directory = tempDirectory('verify')
  const good = new App(join(directory, 'storage', 'good.db'))
  const bad = new App(join(directory, 'storage', 'bad.db'))
  const database = (name: string) =>
    `- {path: ${directory}/storage/${name}.db, monitor-interval: 20ms, replicas: [{path: ${directory}/replicas/${name}, sync-interval: 20ms}]}\n`
  const daemon = await startWithConfig(directory, `dbs:\n${database('good')}${database('bad')}`)
  for (const [app, name] of [
    [good, 'good'],
    [bad, 'bad'],
  ] as const) {
    for (let i = 0; i < 12; i++) app.write('z'.repeat(1000))
    await untilReplicated(app, fileTarget(join(directory, 'replicas', name)), directory)
    app.write('in a segment')
    await untilReplicated(app, fileTarget(join(directory, 'replicas', name)), directory)
  }
  const config = join(directory, 'litestream.yml')
  const well = await runOurs(['verify', '-config', config])
  expect(well.code, well.stdout).toBe(0)
  expect(well.stdout.match(/ ok /g)).toHaveLength(2)
  const segments = segmentsIn(join(directory, 'replicas', 'bad'))
  truncateSync(join(directory, 'replicas', 'bad', segments.at(-1) as string), 60)
  const worst = await runOurs(['verify', '-config', config, '-timeout', '10s'])
  expect(worst.code, worst.stdout).toBe(1)
  expect(worst.stdout).toMatch(/good\.db +file +ok/)
  expect(worst.stdout).toMatch(/bad\.db +file +failed .*is damaged/)
  expectGoodEnd(await daemon.stop())
}, 120_000)
