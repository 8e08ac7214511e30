// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration has its own ${NAME}
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configFromUrls, findDatabase, loadConfig, replicaFromUrl, secretsOf } from '../../../src/config/load.js'
import type { Config } from '../../../src/config/types.js'
import { tempDirectory } from '../../support/temp.js'

type Env = Record<string, string>

async function load(yaml: string, env: Env = {}, expandEnv = true): Promise<Config> {
  const cwd = tempDirectory('config')
  writeFileSync(join(cwd, 'x.yml'), yaml)
  return loadConfig({ path: 'x.yml', env, cwd, expandEnv })
}

/** The lines of the error without the directory: `x.yml:3: message`. */
async function problems(yaml: string, env: Env = {}): Promise<string[]> {
  const error = await load(yaml, env).then(
    () => undefined,
    (thrown: unknown) => thrown as Error & { code: string },
  )
  expect(error, 'no problem was found').toBeDefined()
  expect(error).toMatchObject({ name: 'LitestreamError', code: 'CONFIG' })
  return error!.message.split('\n').map((line) => line.replace(/^.*\/(x\.yml:)/, '$1'))
}

const replica = (lines: string): string =>
  `dbs:\n- path: /a.db\n  replicas:\n${lines.replace(/^/gm, '    ').replace(/^ {4}/, '  - ')}\n`

describe('defaults', () => {
  test('an empty file has no databases', async () => {
    const expected = { addr: '', exec: '', logging: { level: 'info', type: 'text', stderr: false }, databases: [] }
    for (const text of ['', '# nothing\n', 'dbs:\n', '---\n']) expect(await load(text)).toMatchObject(expected)
  })

  test('every default of a database and its replicas', async () => {
    const config = await load('dbs: [{path: /a.db, replicas: [{path: /r}, {type: s3, bucket: b}]}]')
    const times = {
      syncIntervalMs: 1000,
      snapshotIntervalMs: 0,
      retentionMs: 86_400_000,
      retentionCheckIntervalMs: 3_600_000,
      validationIntervalMs: 0,
      maxBehindMs: 32_000, // 30s + 2 × sync-interval
      onConflict: 'new-generation',
      takeOverAfterMs: 60_000,
    }
    expect(config.databases).toEqual([
      {
        path: '/a.db',
        metaPath: undefined,
        monitorIntervalMs: 1000,
        checkpointIntervalMs: 60_000,
        minCheckpointPageCount: 1000,
        maxCheckpointPageCount: 10_000,
        maxWalBytes: 134_217_728,
        maxSpoolBytes: 2 ** 30,
        allowCheckpoint: false,
        heal: true,
        replicas: [
          { type: 'file', name: 'file', path: '/r', ...times },
          {
            type: 's3',
            name: 's3',
            bucket: 'b',
            path: '',
            region: '',
            endpoint: '',
            forcePathStyle: false,
            skipVerify: false,
            accessKeyId: '',
            secretAccessKey: '',
            ...times,
          },
        ],
      },
    ])
  })

  test('every key is read', async () => {
    const config = await load(`
addr: ":9090"
exec: bin/server -p 3000
logging: {level: WARNING, type: json, stderr: yes}
socket: {path: ~/l.sock}
dbs:
  - path: sub/../a.db
    meta-path: ~/meta
    monitor-interval: 500ms
    checkpoint-interval: 0
    min-checkpoint-page-count: 10
    max-checkpoint-page-count: 0
    max-wal-size: 64 MiB
    replicas:
      - {type: s3, name: 12, bucket: yes, path: /a//b/, region: eu, endpoint: "http://h:1", force-path-style: off, skip-verify: on,
         access-key-id: k, secret-access-key: s, sync-interval: 2.5s, snapshot-interval: 1h30m, retention: 10m,
         retention-check-interval: 1h, validation-interval: 100us, max-behind: 90s,
         on-conflict: stand-by, take-over-after: 5m}
`)
    const socketPath = join(userInfo().homedir, 'l.sock')
    expect(config).toMatchObject({ addr: ':9090', exec: 'bin/server -p 3000', socketPath })
    expect(config.logging).toEqual({ level: 'warn', type: 'json', stderr: true })
    const [database] = config.databases
    expect(database!.path).toBe(join(config.file!, '../a.db'))
    expect(database).toMatchObject({
      metaPath: join(userInfo().homedir, 'meta'),
      monitorIntervalMs: 500,
      checkpointIntervalMs: 0,
      minCheckpointPageCount: 10,
      maxCheckpointPageCount: 0,
      maxWalBytes: 67_108_864,
    })
    expect(database!.replicas[0]).toEqual({
      type: 's3',
      name: '12',
      bucket: 'yes',
      path: 'a/b',
      region: 'eu',
      endpoint: 'http://h:1',
      forcePathStyle: false,
      skipVerify: true,
      accessKeyId: 'k',
      secretAccessKey: 's',
      syncIntervalMs: 2500,
      snapshotIntervalMs: 5_400_000,
      retentionMs: 600_000,
      retentionCheckIntervalMs: 600_000, // not less often than things expire
      validationIntervalMs: 0.1,
      maxBehindMs: 90_000,
      onConflict: 'stand-by',
      takeOverAfterMs: 300_000,
    })
  })

  test('root credentials fill each empty field by itself', async () => {
    const config = await load(`access-key-id: K\nsecret-access-key: rootsecret
dbs: [{path: /a, replicas: [{type: s3, bucket: b}, {name: two, type: s3, bucket: b, access-key-id: own}]}]`)
    const keys = config.databases[0]!.replicas.map((one) => one.type === 's3' && [one.accessKeyId, one.secretAccessKey])
    expect(keys).toEqual([
      ['K', 'rootsecret'],
      ['own', 'rootsecret'],
    ])
    expect(secretsOf(config)).toEqual(['rootsecret'])
  })

  test('path style is the default with an endpoint only, and a host that needs it wins', async () => {
    const style = async (lines: string): Promise<unknown> => {
      const [one] = (await load(replica(lines))).databases[0]!.replicas
      return one?.type === 's3' && one.forcePathStyle
    }
    expect(await style('type: s3\nbucket: b')).toBe(false)
    expect(await style('type: s3\nbucket: b\nendpoint: h')).toBe(true)
    expect(await style('type: s3\nbucket: b\nendpoint: h\nforce-path-style: false')).toBe(false)
    expect(await style('url: s3://b.localhost:9000/x\nforce-path-style: false')).toBe(true)
  })

  test('anchors, aliases and merge keys', async () => {
    const config = await load(`
x-shared: &shared {type: s3, bucket: b, retention: 48h}
dbs:
  - path: /a
    replicas: &list
      - {<<: *shared, path: p, retention: 2h}
  - {path: /b, replicas: *list}
`)
    for (const { replicas } of config.databases) {
      expect(replicas).toMatchObject([{ bucket: 'b', path: 'p', retentionMs: 7_200_000 }])
    }
  })
})

describe('problems', () => {
  test.each([
    ['adr: x', ['x.yml:1: unknown key "adr"; did you mean "addr"?']],
    ['- a', ['x.yml:1: expected keys such as "dbs:", found a list']],
    ['addr: "9090"', ['x.yml:1: must specify port for bind address: "9090"']],
    ['logging: {type: TEXT}', ['x.yml:1: logging type must be text or json, in lower case']],
    ['logging: {level: loud}', ['x.yml:1: logging level must be DEBUG, INFO, WARN or ERROR']],
    ['logging: {stderr: 1}', ['x.yml:1: stderr: expected true or false, found a number']],
    ['dbs:\n-\n', ['x.yml:2: dbs: this entry is empty, expected the keys of a database']],
    ['dbs: {path: x}', ['x.yml:1: dbs: expected a list (each database begins with "- "), found a map']],
    ['dbs: [{}]', ['x.yml:1: database path required']],
    ['dbs:\n- path: s3://b/x', ['x.yml:2: database path cannot be a url']],
    ['dbs:\n- path: /a\n- path: /b/../a', ['x.yml:3: duplicate database path: /a']],
    ['dbs:\n- path: /a\n  path: /b', ['x.yml:3: this key is already given in the same map; remove one of the two']],
    [
      'dbs:\n- path: /a\n  min-checkpoint-page-count: 0',
      ['x.yml:3: minimum checkpoint page count required (it must be above 0)'],
    ],
    [
      'dbs:\n- path: /a\n  max-checkpoint-page-count: "5"',
      ['x.yml:3: max-checkpoint-page-count: expected a whole number without quotes, found text'],
    ],
    ['dbs:\n- path: /a\n  monitor-interval: 0', ['x.yml:3: monitor-interval must be longer than 0']],
    ['dbs:\n- path: /a\n  checkpoint-interval: -1s', ['x.yml:3: checkpoint-interval: -1s must not be negative']],
    [
      'dbs:\n- path: /a\n  replica:\n    path: /x',
      ['x.yml:3: unknown key "replica"; Litestream 0.3 has a list: write "replicas:" and begin each replica with "- "'],
    ],
    [
      'dbs:\n- path: /a\n  replicas: [{path: /x}, null]',
      ['x.yml:3: replicas: this entry is empty, expected the keys of a replica'],
    ],
    [
      'dbs:\n- path: /a\n  replicas:\n  - path: /x\n  - path: /y',
      ['x.yml:5: duplicate replica name: "file"; give each replica of a database its own "name"'],
    ],
    ['a: b: c', [expect.stringMatching(/^x\.yml:1: yaml: /)]],
    ['dbs: []\n---\ndbs: []', [expect.stringMatching(/^x\.yml:[23]: yaml: a second document/)]],
  ])('%s', async (yaml, expected) => {
    expect(await problems(yaml)).toEqual(expected)
  })

  test.each([
    ['path: s3://b/x', "x.yml:4: replica path cannot be a url, please use the 'url' field instead: s3://b/x"],
    ['type: ftp', 'x.yml:4: unknown replica type in config: "ftp" (known are s3 and file)'],
    [
      'url: ftp://x/y',
      'x.yml:4: unknown replica type in config: "" (the url\'s scheme is "ftp"; known are s3:// and file://)',
    ],
    ['type: s3\nurl: foo', 'x.yml:5: replica url scheme required: foo'],
    ['url: file:///x\npath: /y', 'x.yml:5: cannot specify url & path for file replica'],
    ['url: s3://b/x\npath: y', 'x.yml:5: cannot specify url & path for s3 replica'],
    ['url: s3://b/x\nbucket: y', 'x.yml:5: cannot specify url & bucket for s3 replica'],
    ['type: file', 'x.yml:4: file replica path required'],
    ['type: s3', 'x.yml:4: bucket required for s3 replica'],
    ['url: s3:///x', 'x.yml:4: bucket required for s3 replica'],
    ['url: s3://bad host/x', 'x.yml:4: parse "s3://bad host/x": invalid character " " in host name'],
    ['bucket: b\npath: x', 'x.yml:4: "bucket" belongs to replicas of type s3; write "type: s3"'],
    ['path: /x\nregion: eu', 'x.yml:5: "region" has no effect on a replica of type file; remove it or change the type'],
    ['type: abs', 'x.yml:4: replica type "abs" is not supported by litestream-node; use s3 or file'],
    ['url: gcs://b/x', 'x.yml:4: replica type "gcs" is not supported by litestream-node; use s3 or file'],
    ['url: sftp://u:hunter2@h/x', 'x.yml:4: replica type "sftp" is not supported by litestream-node; use s3 or file'],
    [
      'path: /x\nage: {recipients: [a]}',
      'x.yml:5: age encryption is not supported by litestream-node; nothing is replicated rather than unencrypted',
    ],
    ['path: /x\nsync-interval: 0', 'x.yml:5: sync-interval must be longer than 0'],
    ['path: /x\nretention-check-interval: 0s', 'x.yml:5: retention-check-interval must be longer than 0'],
    ['path: /x\nretenion: 1h', 'x.yml:5: unknown key "retenion"; did you mean "retention"?'],
    [
      'path: /x\nretention: 24',
      'x.yml:5: retention: 24 has no unit (Litestream 0.3 takes it for nanoseconds); write 24s for seconds (units: h, m, s, ms, us, ns)',
    ],
    [
      'path: /x\nretention: 7d',
      'x.yml:5: retention: "7d" is not a duration: unknown unit "d"; write 168h (units: h, m, s, ms, us, ns)',
    ],
    [
      'type: s3\nbucket: b\naccess-key-id: k',
      'x.yml:4: access-key-id and secret-access-key belong together, but secret-access-key is empty',
    ],
    [
      'url: s3://nyc3.digitaloceanspaces.com/b',
      'x.yml:4: bucket required for s3 replica; "nyc3.digitaloceanspaces.com" is an endpoint, use "bucket" and "endpoint" instead of "url"',
    ],
    [
      'url: s3://minio:9000/b',
      'x.yml:4: the port in "minio:9000" has no effect for this host; use "bucket" and "endpoint" instead of "url"',
    ],
    [
      'url: s3://b/x?region=eu',
      'x.yml:4: options in a replica url ("?…") have no effect; use the keys of the configuration',
    ],
  ])('replica with %j', async (lines, expected) => {
    expect(await problems(replica(lines))).toEqual([expected])
  })

  test('a retention that is off needs no check interval', async () => {
    const config = await load(replica('path: /x\nretention: 0\nretention-check-interval: 0'))
    expect(config.databases[0]!.replicas[0]).toMatchObject({ retentionMs: 0, retentionCheckIntervalMs: 0 })
  })

  test('all of them are reported, in the order of the file', async () => {
    const found = await problems('dbs:\n- path: ""\n  replicas:\n  - type: s3\n    retention: 5\n- foo: 1\nadr: 1')
    expect(found.map((line) => line.replace(/^x\.yml:(\d+):.*/, '$1'))).toEqual(['2', '4', '5', '6', '6', '7'])
  })

  test('values of secret keys are never in a message', async () => {
    const secret = 'hunter2hunter2'
    for (const text of [
      `secret-access-key: [${secret}]`,
      `secret-access-key: *${secret}`,
      `secret-access-key: !${secret}`,
      `secret-access-key: "${secret}\\q"`,
      `secret-access-key: @${secret}`,
      `secret-access-key: ${secret}: x`,
      `secret-access-key: "${secret}`,
      replica(`type: s3\nbucket: b\nsecret-access-key: ${secret}`),
      replica(`url: s3://key:${secret}@b/x`),
      replica(`url: s3://key:${secret}@bad host/x`),
      replica(`path: s3://key:${secret}@b/x`),
      replica(`url: sftp://key:${secret}@b/x`),
    ]) {
      expect((await problems(text)).join('\n')).not.toContain(secret)
    }
  })
})

describe('environment', () => {
  test.each([
    ['$B', 'x.yml:5: bucket required for s3 replica (environment variable B is not set)'],
    ['${B} # comment', 'x.yml:5: bucket required for s3 replica (environment variable B is not set)'],
    ['"$B$C"', 'x.yml:5: bucket required for s3 replica (environment variables B, C are not set)'],
    [
      '${B:-x}',
      'x.yml:5: bucket required for s3 replica (environment variable B:-x is not set; defaults as in a shell (NAME:-value) are not supported)',
    ],
    ['${B', 'x.yml:5: an environment variable in braces is not closed with "}" on this line'],
  ])('bucket: %s', async (value, expected) => {
    expect(await problems(replica(`type: s3\nbucket: ${value}\npath: p`))).toEqual([expected])
  })

  test('a variable set to nothing is no unset variable; an optional value may be unset', async () => {
    expect(await problems(replica('type: s3\nbucket: $B'), { B: '' })).toEqual([
      'x.yml:5: bucket required for s3 replica',
    ])
    const config = await load(replica('type: s3\nbucket: $B\nregion: $R\nendpoint: $E'), { B: 'b', E: '' })
    expect(config.databases[0]!.replicas).toMatchObject([{ bucket: 'b', region: '', endpoint: '' }])
  })

  test('an endpoint must not vanish: the data would go to AWS', async () => {
    const found = await problems(replica('type: s3\nbucket: b\nendpoint: $E'))
    expect(found).toEqual(['x.yml:6: endpoint is empty (environment variable E is not set)'])
  })

  test('lines stay those of the file when a value has several', async () => {
    const found = await problems('addr: $A\nx-y: 1\nfoo: 1', { A: ':1 # x\n# y\n# z' })
    expect(found).toEqual([expect.stringMatching(/^x\.yml:3: unknown key "foo"/)])
  })

  test('-no-expand-env leaves the text alone', async () => {
    const config = await load(replica('path: /x/$HOME/${A'), { HOME: 'h' }, false)
    expect(config.databases[0]!.replicas).toMatchObject([{ path: '/x/$HOME/${A' }])
  })
})

describe('the file itself', () => {
  test('which one: -config, $LITESTREAM_CONFIG, /etc/litestream.yml', async () => {
    const cwd = tempDirectory('config')
    writeFileSync(join(cwd, 'one.yml'), 'addr: ":1"')
    writeFileSync(join(cwd, 'two.yml'), 'addr: ":2"')
    const env = { LITESTREAM_CONFIG: join(cwd, 'two.yml') }
    expect((await loadConfig({ path: 'one.yml', env, cwd, expandEnv: true })).addr).toBe(':1')
    expect((await loadConfig({ path: '', env, cwd, expandEnv: true })).addr).toBe(':2')
    const other = { env: { LITESTREAM_CONFIG: '' }, cwd, expandEnv: true }
    const found = await loadConfig(other).catch((error: Error) => error)
    expect('file' in found ? found.file : (found as Error).message).toMatch(
      /^(config file not found: )?\/etc\/litestream\.yml$/,
    )
  })

  test('missing, a directory, unreadable, not text', async () => {
    const cwd = tempDirectory('config')
    mkdirSync(join(cwd, 'dir.yml'))
    writeFileSync(join(cwd, 'binary.yml'), new Uint8Array([0x61, 0xff, 0xfe]))
    writeFileSync(join(cwd, 'secret.yml'), '')
    chmodSync(join(cwd, 'secret.yml'), 0)
    const load = (path: string) => loadConfig({ path, env: {}, cwd, expandEnv: true })
    await expect(load('none.yml')).rejects.toThrow(`config file not found: ${cwd}/none.yml`)
    await expect(load('dir.yml')).rejects.toThrow(`read ${cwd}/dir.yml: is a directory`)
    await expect(load('binary.yml')).rejects.toThrow(`read ${cwd}/binary.yml: not UTF-8 text`)
    // root reads everything
    if (process.getuid?.() !== 0) await expect(load('secret.yml')).rejects.toThrow('secret.yml: permission denied')
  })
})

describe('from the command line', () => {
  const around = { env: {}, cwd: '/work' }

  test('a database and its replica URLs', () => {
    const config = configFromUrls('a.db', ['s3://bkt.localhost:9000/pre/fix', 'file:///r'], around)
    expect(config.databases).toMatchObject([
      {
        path: '/work/a.db',
        monitorIntervalMs: 1000,
        replicas: [
          {
            type: 's3',
            bucket: 'bkt',
            path: 'pre/fix',
            endpoint: 'http://localhost:9000',
            region: 'us-east-1',
            forcePathStyle: true,
          },
          { type: 'file', path: '/r' },
        ],
      },
    ])
    expect(findDatabase(config, '../work/a.db', around).path).toBe('/work/a.db')
    expect(() => findDatabase(config, 'b.db', around)).toThrow('database not found in config: /work/b.db')
  })

  test('problems', () => {
    expect(() => configFromUrls('a', ['s3://a', 's3://b'], around)).toThrow('duplicate replica name: "s3"')
    expect(() => replicaFromUrl('-exec', around)).toThrow('replica url scheme required: -exec')
    expect(() => replicaFromUrl('abs://a@b/c', around)).toThrow('replica type "abs" is not supported')
  })
})
