// `litestream doctor` has to name what is wrong. Each test plants one fault and runs the real command; a sound set-up has none, and
// nothing that was tried is left behind anywhere.

import { linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { fakeStore } from '../support/fake-s3.js'
import { minioServer } from '../support/minio.js'
import { freePort } from '../support/minio-server.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'

interface Finding {
  readonly level: 'ok' | 'warning' | 'error'
  readonly check: string
  readonly message: string
  readonly next?: string
}

interface Answer {
  readonly code: number
  readonly stdout: string
  /** All that is not ok, as `level check: message -> next`. */
  readonly bad: string[]
  readonly ok: string[]
}

/** A place with a database in WAL mode that nobody has open, and a configuration with the replicas given. */
class Scene {
  readonly directory = tempDirectory()
  readonly data = join(this.directory, 'data')
  readonly database = join(this.data, 'app.db')
  readonly config = join(this.directory, 'litestream.yml')

  constructor() {
    mkdirSync(this.data)
    const database = new Database(this.database)
    database.exec('pragma journal_mode = wal; create table t (x)')
    database.close()
  }

  async doctor(replica: object | string, env: Record<string, string> = {}, path = this.database): Promise<Answer> {
    const text = typeof replica === 'string' ? replica : JSON.stringify(replica)
    writeFileSync(this.config, `dbs:\n  - path: ${path}\n    replicas:\n      - ${text}\n`)
    return this.run(env)
  }

  async run(env: Record<string, string> = {}): Promise<Answer> {
    const quiet = { AWS_EC2_METADATA_DISABLED: 'true', ...env }
    const { code, stdout, stderr } = await runOurs(['doctor', '-json', '-config', this.config], { env: quiet })
    expect(stderr).toBe('')
    const { sections } = JSON.parse(stdout) as { sections: { findings: Finding[] }[] }
    const findings = sections.flatMap((section) => section.findings)
    const bad = findings.filter(({ level }) => level !== 'ok')
    // Whatever is wrong, it says what to do.
    for (const { next } of bad) expect(next).toBeTruthy()
    return {
      code,
      stdout,
      bad: bad.map(({ level, check, message, next }) => `${level} ${check}: ${message} -> ${next}`),
      ok: findings.filter(({ level }) => level === 'ok').map(({ check }) => check),
    }
  }
}

const fileReplica = (scene: Scene) => {
  mkdirSync(join(scene.directory, 'replica'), { recursive: true })
  return { path: join(scene.directory, 'replica') }
}

const keys = { 'access-key-id': 'the-id', 'secret-access-key': 'the-very-secret' }
const onStore = (endpoint: string) => ({ type: 's3', bucket: 'bkt', path: 'app', endpoint, ...keys })

describe('a sound set-up', () => {
  test('on MinIO: no error, everything tried, nothing left, the volume of the database untouched', async () => {
    const minio = await minioServer()
    const bucket = await minio.createBucket('doctor')
    const scene = new Scene()
    const look = () =>
      readdirSync(scene.data).map((name) => [name, statSync(join(scene.data, name), { bigint: true }).ctimeNs])
    const before = [...look(), statSync(scene.data, { bigint: true }).ctimeNs]
    const { code, ok, bad, stdout } = await scene.doctor({
      url: `s3://${bucket}/app`,
      endpoint: minio.endpoint,
      'access-key-id': minio.accessKeyId,
      'secret-access-key': minio.secretAccessKey,
    })
    expect(bad).toEqual([])
    expect(code, stdout).toBe(0)
    expect(ok).toEqual(
      expect.arrayContaining([
        ...['config', 'spool', 'readable', 'wal-mode', 'wal', 'users', 'owner-on-restore', 'provider', 'dns', 'tcp'],
        ...['list', 'put', 'clock', 'get', 'conditional-put', 'multipart', 'delete'],
      ]),
    )
    expect(stdout).not.toContain(minio.secretAccessKey)
    expect([...look(), statSync(scene.data, { bigint: true }).ctimeNs]).toEqual(before)
    const { Contents = [] } = await minio.sdk.send(new ListObjectsV2Command({ Bucket: bucket }))
    expect(Contents).toEqual([])
  })

  test('in a directory, in lines for a person', async () => {
    const scene = new Scene()
    await scene.doctor(fileReplica(scene))
    const { code, stdout } = await runOurs(['doctor', '-config', scene.config, scene.database])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^configuration\n {2}ok {7}config +\S+litestream.yml: 1 database\n/)
    expect(stdout).toContain(`\nreplica file of ${scene.database}\n`)
    expect(stdout).toMatch(/\n\n0 errors, 0 warnings\n$/)
    expect(readdirSync(join(scene.directory, 'replica'))).toEqual([])
  })
})

describe('planted faults, each named', () => {
  const planted = async (answer: Promise<Answer>, expected: RegExp, code = 1): Promise<Answer> => {
    const found = await answer
    expect(found.bad).toEqual(expect.arrayContaining([expect.stringMatching(expected)]))
    expect(found.code).toBe(code)
    expect(found.stdout).not.toContain('the-very-secret')
    return found
  }

  test('1: a credential whose variable is not set', async () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own variables
      '{type: s3, bucket: bkt, access-key-id: "${PLANTED_ID}", secret-access-key: "${PLANTED_SECRET}"}'
    const answer = new Scene().doctor(text, { PLANTED_ID: 'id' })
    await planted(answer, /^error config: .*litestream.yml:4: .*secret-access-key is empty.*PLANTED_SECRET is not set/)
  })

  test('2: a wrong secret, 3: an unknown key, 4: a bucket that is not there', async () => {
    const minio = await minioServer()
    const bucket = await minio.createBucket('doctor')
    const scene = new Scene()
    const at = (id: string, secret: string, name = bucket) => ({
      ...{ type: 's3', bucket: name, endpoint: minio.endpoint },
      ...{ 'access-key-id': id, 'secret-access-key': secret },
    })
    const wrong = scene.doctor(at(minio.accessKeyId, 'the-very-secret'))
    await planted(wrong, /^error credentials: .*secret key does not fit the access key.* -> check access-key-id/)
    const unknown = scene.doctor(at('nobody', minio.secretAccessKey))
    await planted(unknown, /^error credentials: .*the access key is not known there/)
    const missing = scene.doctor(at(minio.accessKeyId, minio.secretAccessKey, 'no-such-bucket'))
    await planted(missing, /^error bucket: .*there is no such bucket.* -> create the bucket/)
  })

  test('5: nobody listens at the endpoint', async () => {
    const answer = new Scene().doctor(onStore(`http://127.0.0.1:${await freePort()}`))
    const { ok } = await planted(answer, /^error tcp: no connection to 127.0.0.1 port \d+: .*ECONNREFUSED/)
    expect(ok).not.toContain('list')
  })

  test('6: a host name that does not exist', async () => {
    await planted(
      new Scene().doctor(onStore('https://store.invalid')),
      /^error dns: the host name store.invalid is not known/,
    )
  })

  test('7: no TLS where https is written', async () => {
    const { port } = await fakeStore()
    await planted(new Scene().doctor(onStore(`https://127.0.0.1:${port}`)), /^error tls: 127.0.0.1 port \d+: /)
  })

  test.each([
    ['list', /^error list: .*access denied.* -> give the key permission to list the bucket \(s3:ListBucket\)/],
    ['put', /^error put: .*access denied.* -> give the key permission to write objects/],
    ['get', /^error get: .*access denied.* -> give the key permission to read objects/],
    ['multipart', /^error multipart: .*access denied.* -> give the key permission to upload in parts/],
    ['delete', /^error delete: .*access denied.* -> .*delete objects .*then delete litestream-doctor\/[0-9a-f]{32}, /],
  ] as const)('8: permission to %s is missing, and only that', async (operation, expected) => {
    const store = await fakeStore({ deny: [operation] })
    const { bad } = await planted(new Scene().doctor(onStore(store.endpoint)), expected)
    expect(bad.filter((line) => line.startsWith('error'))).toHaveLength(1)
    if (operation !== 'delete') expect([...store.objects.keys()]).toEqual([])
    for (const key of store.objects.keys()) expect(key).toMatch(/^app\/litestream-doctor\//)
  })

  test('9: a store whose clock is 20 minutes ahead', async () => {
    const { endpoint } = await fakeStore({ aheadMs: 20 * 60_000 })
    const answer = new Scene().doctor(onStore(endpoint))
    await planted(answer, /^error clock: this machine's clock and the store's are 1[12]\d\d s apart.* -> set the clock/)
  })

  test('10: a store that ignores If-None-Match', async () => {
    const { endpoint, objects } = await fakeStore({ ignoreIfNoneMatch: true })
    const answer = new Scene().doctor(onStore(endpoint))
    await planted(answer, /^warning conditional-put: the store ignores If-None-Match: two writers cannot notice/, 0)
    expect([...objects.keys()]).toEqual([])
  })

  test('11: a database that is not in WAL mode', async () => {
    const scene = new Scene()
    const database = new Database(scene.database)
    database.exec('pragma journal_mode = delete')
    database.close()
    const answer = scene.doctor(fileReplica(scene))
    await planted(answer, /^error wal-mode: the database is not in WAL mode.* -> run once: PRAGMA journal_mode = WAL/)
  })

  test('12: a file that is not a database', async () => {
    const scene = new Scene()
    writeFileSync(scene.database, 'x'.repeat(5000))
    await planted(scene.doctor(fileReplica(scene)), /^error format: not a SQLite database/)
  })

  test('13: a database with two names, and one behind a symbolic link', async () => {
    const scene = new Scene()
    const replica = fileReplica(scene)
    symlinkSync(scene.database, join(scene.directory, 'link.db'))
    const link = scene.doctor(replica, {}, join(scene.directory, 'link.db'))
    await planted(link, /^warning symbolic-link: .*link.db leads to .*data\/app.db, and the -wal lies there/, 0)
    linkSync(scene.database, join(scene.data, 'other.db'))
    await planted(scene.doctor(replica), /^error readable: .* has 2 hard links/)
  })

  test('14: the volume is not mounted, or there is no database yet', async () => {
    const scene = new Scene()
    const replica = fileReplica(scene)
    await planted(
      scene.doctor(replica, {}, '/not/mounted/app.db'),
      /^error exists: there is no directory \/not\/mounted/,
    )
    const none = scene.doctor(replica, {}, join(scene.data, 'none.db'))
    await planted(none, /^warning exists: there is no database yet; replicate waits for it/, 0)
  })

  test('15: a temporary directory that cannot be written, or that lies beside the database', async () => {
    const scene = new Scene()
    const replica = fileReplica(scene)
    await planted(
      scene.doctor(replica, { TMPDIR: '/proc/self/fdinfo' }),
      /^error spool: \/proc\/self\/fdinfo cannot be written/,
    )
    const before = readdirSync(scene.data)
    const beside = scene.doctor(replica, { TMPDIR: join(scene.data, 'tmp') })
    await planted(beside, /^error spool: .*data\/tmp lies beside a database/)
    expect(readdirSync(scene.data)).toEqual(before)
  })

  test('16: two replicas at one place', async () => {
    const scene = new Scene()
    const { path } = fileReplica(scene)
    const answer = scene.doctor(`{path: ${path}}\n      - {name: other, path: ${path}/}`)
    await planted(answer, /^error place: it is at the same place as replica file of .* -> give each its own "path"/)
  })

  test('17: an application that died and left a WAL', async () => {
    const scene = new Scene()
    const live = new Database(join(scene.directory, 'live.db'))
    live.exec('pragma journal_mode = wal; create table t (x)')
    for (const suffix of ['', '-wal']) {
      writeFileSync(`${scene.database}${suffix}`, readFileSync(join(scene.directory, `live.db${suffix}`)))
    }
    live.close()
    await planted(scene.doctor(fileReplica(scene)), /^warning wal: the -wal holds changes and there is no -shm/, 0)
  })

  test('18: a replica beside the database', async () => {
    const scene = new Scene()
    const answer = scene.doctor({ path: join(scene.data, 'replica') })
    await planted(answer, /^warning directory: .* lies beside the database; nothing was tried there/, 0)
    expect(readdirSync(scene.data)).toEqual(['app.db'])
  })
})
