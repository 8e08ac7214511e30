// Our list commands and the real 0.3.13's, on the same replicas and configurations: equal stdout, byte for byte. The replicas
// are made by the real one; the times of files are set, so that lags do not depend on how fast the commands start.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runReal, startRealReplicate } from '../support/litestream-real.js'
import { type MinioServer, minioServer } from '../support/minio.js'
import { run, start } from '../support/process.js'
import { distMain, runOurs } from '../support/programs.js'
import { until } from '../support/until.js'

const directory = mkdtempSync(join(tmpdir(), 'litestream-test-lists-'))
afterAll(() => rmSync(directory, { recursive: true }))
const config = join(directory, 'litestream-real.yml')
const app = join(directory, 'app.db')
const fileReplica = join(directory, 'rep')
let minio: MinioServer
let bucket: string
let env: Record<string, string>

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  )
}

/** One run of the real daemon: `commits` transactions, each waited for until it is in the file replica. */
async function replicateForAWhile(yaml: string, commits: number): Promise<void> {
  const running = await startRealReplicate(directory, yaml, { env })
  const database = new Database(app)
  database.pragma('journal_mode = wal')
  database.exec('create table if not exists t (x)')
  for (let i = 0; i < commits; i++) {
    const before = segments().length
    const insert = database.prepare('insert into t values (randomblob(5000))')
    let looks = 0
    const shipped = () => {
      // The real one does not always notice a single commit on a busy machine; the next one brings it along.
      if (looks++ % 100 === 0) insert.run()
      return segments().length > before
    }
    await until(shipped, { what: 'the real Litestream to ship a segment', timeoutMs: 60_000 })
  }
  database.close()
  const { code } = await running.stop()
  expect(code, running.output()).toBe(0)
}

const segments = (): string[] => {
  try {
    return filesBelow(fileReplica).filter((path) => path.endsWith('.wal.lz4'))
  } catch {
    return []
  }
}

beforeAll(async () => {
  minio = await minioServer()
  bucket = await minio.createBucket('lists')
  env = { LITESTREAM_ACCESS_KEY_ID: minio.accessKeyId, LITESTREAM_SECRET_ACCESS_KEY: minio.secretAccessKey }
  const yaml = `dbs:
- path: ${app}
  monitor-interval: 50ms
  replicas:
  - {path: ${fileReplica}, sync-interval: 50ms}
  - {name: remote-with-a-long-name, type: s3, bucket: ${bucket}, path: a/b, endpoint: "${minio.endpoint}", sync-interval: 50ms}
- path: ${directory}/other.db
  replicas: [{path: ${directory}/nothing}]
- path: ${directory}/none.db
`
  await replicateForAWhile(yaml, 3)
  // Without its own state the real one begins a second generation.
  rmSync(join(directory, '.app.db-litestream'), { recursive: true })
  await replicateForAWhile(yaml, 2)

  // Whole milliseconds and known distances: lags of 2.6 s, 12 s and below zero.
  const base = Math.floor(Date.now() / 1000) * 1000 - 3_600_000
  for (const [i, path] of filesBelow(fileReplica).sort().entries()) utimesSync(path, 0, (base + i * 1500 + 7) / 1000)
  const newest = Math.max(...filesBelow(fileReplica).map((path) => statSync(path).mtimeMs))
  for (const name of readdirSync(directory).filter((one) => one.startsWith('app.db'))) {
    utimesSync(join(directory, name), 0, (newest + 2_650) / 1000)
  }
  // What is no name of the layout is passed over by both.
  const [generation] = readdirSync(join(fileReplica, 'generations'))
  const snapshots = join(fileReplica, 'generations', generation!, 'snapshots')
  for (const name of ['0000000A.snapshot.lz4', '00000001.snapshot.lz4.tmp', 'x'])
    writeFileSync(join(snapshots, name), 'x')
  mkdirSync(join(fileReplica, 'generations', 'NOT-A-GENERATION'))
})

describe('equal to the real one, byte for byte', () => {
  const lines = [
    ['databases'],
    ['generations', app],
    ['generations', '-replica', 'file', app],
    ['snapshots', app],
    ['snapshots', '--replica=remote-with-a-long-name', app],
    ['snapshots', `${directory}/other.db`],
    ['snapshots', `${directory}/none.db`],
    ['wal', app],
    ['wal', '-replica', 'remote-with-a-long-name', app],
  ].map((words) => ({ title: words.join(' ').replaceAll(directory, ''), words }))
  test.each(lines)('$title', async ({ words }) => {
    const [command, ...args] = words as [string, ...string[]]
    const line = [command, '-config', config, ...args]
    const [real, ours] = [await runReal(line, { env }), await runOurs(line, { env })]
    // Ours checks the databases too: two of the three are not there.
    const missing =
      command === 'databases' ? { code: 1, stderr: expect.stringMatching(/^(.*no such file.*\n){2}$/) } : {}
    expect(ours).toEqual({ ...real, stderr: '', ...missing })
    expect(real.code).toBe(0)
  })

  test('one generation, with relative paths and the configuration from the environment', async () => {
    const generations = readdirSync(join(fileReplica, 'generations')).filter((name) => /^[0-9a-f]{16}$/.test(name))
    expect(generations).toHaveLength(2)
    for (const generation of [...generations, '0123456789abcdef']) {
      const options = { env: { ...env, LITESTREAM_CONFIG: 'litestream-real.yml' }, cwd: directory }
      const line = ['wal', '-generation', generation, './app.db']
      const [real, ours] = [await runReal(line, options), await runOurs(line, options)]
      expect(ours).toEqual({ ...real, stderr: '' })
    }
  })

  test('by URL: a directory, and a bucket behind a localhost name', async () => {
    const port = new URL(minio.endpoint).port
    for (const url of [
      `file://${fileReplica}`,
      `s3://${bucket}.localhost:${port}/a/b`,
      `s3://${bucket}.localhost:${port}`,
    ]) {
      for (const command of ['snapshots', 'wal']) {
        const [real, ours] = [await runReal([command, url], { env }), await runOurs([command, url], { env })]
        expect(ours, url).toEqual({ ...real, stderr: '' })
      }
      // Both lags are those of the moment of the call.
      const [real, ours] = [await runReal(['generations', url], { env }), await runOurs(['generations', url], { env })]
      const times = (text: string) => text.split('\n').map((row) => row.split(/ +/).toSpliced(2, 1))
      expect(times(ours.stdout), url).toEqual(times(real.stdout))
    }
  })
})

describe('better than the real one', () => {
  test('a replica that cannot be listed: the others are, the error is on stderr, the exit status is 1', async () => {
    const broken = join(directory, 'broken.yml')
    const dead =
      '{name: dead, type: s3, bucket: b, endpoint: "http://127.0.0.1:1", access-key-id: k, secret-access-key: hunter2hunter2}'
    writeFileSync(broken, `dbs: [{path: ${app}, replicas: [${dead}, {path: ${fileReplica}}]}]`)
    for (const command of ['generations', 'snapshots', 'wal']) {
      const healthy = await runOurs([command, '-config', config, '-replica', 'file', app], { env })
      const { code, stdout, stderr } = await runOurs([command, '-config', broken, app])
      expect(code).toBe(1)
      expect(stdout).toBe(healthy.stdout)
      expect(stderr).toMatch(/^time=\S+ level=ERROR msg="cannot [^"]+" db=\S+ replica=dead error=.*\n$/)
      expect(stderr).not.toContain('hunter2')
    }
  })

  test('a directory that cannot be listed is an error, not an empty list', async () => {
    const odd = join(directory, 'odd')
    mkdirSync(odd)
    symlinkSync('generations', join(odd, 'generations')) // leads to itself: refused to root, too
    const { code, stderr } = await runOurs(['wal', `file://${odd}`])
    expect([code, stderr]).toEqual([1, expect.stringContaining('replica=file error=')])
  })

  test('a reader that goes away is no error', async () => {
    const line = `"$0" "$1" wal -config "$2" "$3" | true`
    const { stdout, stderr } = await run('sh', ['-c', line, process.execPath, await distMain(), config, app], { env })
    expect([stdout, stderr]).toEqual(['', ''])
  })

  test('a storage that does not answer can be interrupted', async () => {
    const silent = await import('node:net').then(({ createServer }) => createServer(() => {}).listen(0, '127.0.0.1'))
    await until(() => silent.listening)
    const connected = new Promise((resolve) => silent.once('connection', resolve))
    const { port } = silent.address() as { port: number }
    const listing = start(process.execPath, [await distMain(), 'wal', `s3://b.localhost:${port}/x`], { env })
    await connected
    const { code, signal, stderr } = await listing.stop('SIGINT')
    silent.close()
    expect([code, signal]).toEqual([1, null])
    expect(stderr).toContain('level=ERROR')
  })
})
