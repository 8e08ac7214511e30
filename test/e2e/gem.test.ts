// The contract with the litestream gem (Ruby): the calls that it makes, replayed through its way of finding the executable, and the
// outputs read by its rules (test/support/gem-calls.ts). The set-up is the one that docs/rails.md prints: the lines are taken from
// there and executed. The real gem runs in test/gem/run.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GemCalls, parseTable } from '../support/gem-calls.js'
import { projectRoot } from '../support/make-dist.js'
import { minioServer } from '../support/minio.js'
import { type Running, start } from '../support/process.js'
import { distMain } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { endWithTest } from './replicating.js'

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
const NAMES = ['production', 'production_cache', 'production_queue', 'production_cable'] as const

/** The shell block of docs/rails.md, with the two places of a machine replaced by ones of the test. */
async function installAsPrinted(directory: string): Promise<string> {
  const text = readFileSync(join(projectRoot, 'docs', 'rails.md'), 'utf8')
  const block = /```sh\n(mkdir -p [\s\S]*?)```/.exec(text)?.[1] as string
  const modules = join(directory, 'global')
  mkdirSync(modules)
  symlinkSync(dirname(dirname(dirname(await distMain()))), join(modules, 'litestream-node'))
  const lines = block.replaceAll('/usr/local/lib/litestream', join(directory, 'bin'))
  const script = `npm() { echo '${modules}'; }\n${lines}`
  execFileSync('/bin/sh', ['-eu', '-c', script], { env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` } })
  return join(directory, 'bin')
}

interface World {
  readonly root: string
  readonly gem: GemCalls
  readonly databases: Readonly<Record<(typeof NAMES)[number], Database.Database>>
  /** As the gem's Puma plugin and rake task start it: words without a shell. */
  replicate(): Promise<Running>
}

/** A Rails root with four databases; one in MinIO and in a directory, the others in a directory. */
async function makeWorld(): Promise<World> {
  const root = tempDirectory('gem')
  mkdirSync(join(root, 'config'))
  mkdirSync(join(root, 'storage'))
  const minio = await minioServer()
  const yaml = NAMES.map((name) => {
    const s3 =
      '{type: s3, bucket: $LITESTREAM_REPLICA_BUCKET, path: storage/production, endpoint: $LITESTREAM_REPLICA_ENDPOINT, access-key-id: $LITESTREAM_ACCESS_KEY_ID, secret-access-key: $LITESTREAM_SECRET_ACCESS_KEY, sync-interval: 50ms}, '
    const file = `{name: second, path: ${join(root, 'replica', name)}, sync-interval: 50ms}`
    return `- {path: storage/${name}.sqlite3, monitor-interval: 20ms, replicas: [${name === 'production' ? s3 : ''}${file}]}\n`
  })
  writeFileSync(join(root, 'config', 'litestream.yml'), `dbs:\n${yaml.join('')}`)
  const open = (name: string): Database.Database => {
    const database = new Database(join(root, 'storage', `${name}.sqlite3`))
    onTestFinished(() => void database.close())
    database.pragma('journal_mode = wal')
    database.exec('create table posts (title text)')
    return database
  }
  const env = {
    LITESTREAM_INSTALL_DIR: await installAsPrinted(root),
    LITESTREAM_REPLICA_BUCKET: await minio.createBucket('gem'),
    // The gem sets these, also when there is no value.
    LITESTREAM_REPLICA_REGION: '',
    LITESTREAM_REPLICA_ENDPOINT: minio.endpoint,
    LITESTREAM_ACCESS_KEY_ID: minio.accessKeyId,
    LITESTREAM_SECRET_ACCESS_KEY: minio.secretAccessKey,
    // No Node on the PATH of a service.
    PATH: '/nowhere',
  }
  const gem = new GemCalls({ root, env })
  const databases = Object.fromEntries(NAMES.map((name) => [name, open(name)])) as World['databases']
  return {
    root,
    gem,
    databases,
    async replicate() {
      const [program, ...words] = gem.words('replicate') as [string, ...string[]]
      const running = endWithTest(start(program, words, { cwd: root, env }))
      await until(() => running.stdout().match(/snapshot written/g)?.length === 5, { what: 'five snapshots' })
      return running
    },
  }
}

describe('what the dashboard, the jobs and the rake tasks ask', () => {
  test('databases, generations, snapshots, wal: every cell by the gem’s rules', async () => {
    const { root, gem, databases, replicate } = await makeWorld()
    const running = await replicate()
    databases.production.exec("insert into posts values ('one')")
    await running.waitForLine(/wal segment written.*production\.sqlite3.*replica=s3/)
    await running.waitForLine(/wal segment written.*production\.sqlite3.*replica=second/)

    const listed = await gem.table('databases')
    expect(listed).toEqual(
      NAMES.map((name) => ({
        path: join(root, 'storage', `${name}.sqlite3`),
        replicas: name === 'production' ? 's3,second' : 'second',
      })),
    )
    for (const { path } of listed) {
      // The path goes back as it came; the dashboard joins snapshots to generations by these two columns.
      const generations = await gem.table('generations', [], path)
      const snapshots = await gem.table('snapshots', [], path)
      const segments = await gem.table('wal', [], path)
      const isProduction = path?.endsWith('/production.sqlite3')
      expect(generations.map(({ name }) => name)).toEqual(isProduction ? ['s3', 'second'] : ['second'])
      for (const row of generations) {
        expect(Object.keys(row)).toEqual(['name', 'generation', 'lag', 'start', 'end'])
        expect(row.generation).toMatch(/^[0-9a-f]{16}$/)
        expect(row.lag).toMatch(/^-?\d[\d.a-zµ]*$/)
        expect([row.start, row.end]).toEqual([expect.stringMatching(RFC3339), expect.stringMatching(RFC3339)])
        const own = snapshots.filter((it) => it.generation === row.generation && it.replica === row.name)
        expect(own).toHaveLength(1)
      }
      for (const row of snapshots) {
        expect(Object.keys(row)).toEqual(['replica', 'generation', 'index', 'size', 'created'])
        expect([row.index, row.size]).toEqual(['0', expect.stringMatching(/^\d+$/)])
        expect(row.created).toMatch(RFC3339)
      }
      if (isProduction) expect(segments.length).toBeGreaterThanOrEqual(2)
      for (const row of segments) {
        expect(Object.keys(row)).toEqual(['replica', 'generation', 'index', 'offset', 'size', 'created'])
        for (const cell of [row.index, row.offset, row.size]) expect(cell).toMatch(/^\d+$/)
        expect(row.created).toMatch(RFC3339)
      }
    }
    // Forms of the database's path and of the flags that people hand through the rake tasks.
    const relative = await gem.table('generations', [], 'storage/production.sqlite3')
    expect(relative).toHaveLength(2)
    expect(await gem.table('generations', ['-replica', 'second'], 'storage/production.sqlite3')).toHaveLength(1)
    expect(
      await gem.table('wal', ['--no-expand-env=false', '-replica=second'], 'storage/production.sqlite3'),
    ).toHaveLength(1)
    const [second] = relative.filter(({ name }) => name === 'second')
    const words = ['--generation', second?.generation as string]
    expect(await gem.table('wal', words, 'storage/production.sqlite3')).toHaveLength(1)

    // The last configuration counts: the gem puts its own in front of the caller's.
    copyFileSync(join(root, 'config', 'litestream.yml'), join(root, 'config', 'other.yml'))
    writeFileSync(join(root, 'config', 'other.yml'), 'dbs: [{path: storage/other.sqlite3, replicas: [{path: /r}]}]')
    const other = await gem.table('databases', ['-config', 'config/other.yml'])
    expect(other).toEqual([{ path: join(root, 'storage/other.sqlite3'), replicas: 'file' }])
    expect((await running.stop('SIGINT')).code).toBe(0)
  })

  test('restore: texts and exit statuses that people match, and the copy that the verification job makes', async () => {
    const { root, gem, databases, replicate } = await makeWorld()
    const running = await replicate()
    // As `verify!` of the gem: a sentinel, and after a while a copy that must have it.
    databases.production.exec("insert into posts values ('sentinel')")
    await running.waitForLine(/wal segment written.*replica=second/)
    await running.waitForLine(/wal segment written.*replica=s3/)
    const copy = 'copies/20260115103000_sentinel.sqlite3'
    await gem.restore(join(root, 'storage/production.sqlite3'), ['-o', copy])
    expect(gem.last?.code).toBe(0)
    const restored = new Database(join(root, copy), { readonly: true })
    expect(restored.prepare('select title from posts').pluck().all()).toEqual(['sentinel'])
    restored.close()

    const outcome = async (database: string, extra: readonly string[]) => {
      await gem.restore(database, extra)
      return [gem.last?.code, `${gem.last?.stdout}${gem.last?.stderr}`] as const
    }
    const path = join(root, 'storage/production.sqlite3')
    expect(await outcome('storage/production.sqlite3', [])).toEqual([
      1,
      expect.stringContaining(`cannot restore, output path already exists: ${path}`),
    ])
    expect(await outcome('storage/production.sqlite3', ['--if-db-not-exists'])).toEqual([
      0,
      expect.stringContaining('database already exists, skipping'),
    ])
    expect(await outcome('storage/unknown.sqlite3', [])).toEqual([
      1,
      expect.stringContaining(`database not found in config: ${join(root, 'storage/unknown.sqlite3')}`),
    ])
    writeFileSync(
      join(root, 'config', 'empty.yml'),
      `dbs: [{path: new.sqlite3, replicas: [{path: ${join(root, 'none')}}]}]`,
    )
    expect(await outcome('new.sqlite3', ['-config', 'config/empty.yml', '-if-replica-exists'])).toEqual([
      0,
      expect.stringContaining('no matching backups found'),
    ])
    expect((await running.stop('SIGTERM')).code).toBe(0)
  })

  test('a list that fails raises with the reason, where the original’s failure looks like an empty list', async () => {
    const { root, gem } = await makeWorld()
    await expect(gem.table('generations', [], 'storage/unknown.sqlite3')).rejects.toThrow(
      `Reason: database\u00a0not\u00a0found\u00a0in\u00a0config:\u00a0${join(root, 'storage/unknown.sqlite3')}`,
    )
    expect(gem.last?.code).toBe(1)
    await expect(gem.table('databases', ['-config', 'nowhere.yml'])).rejects.toThrow(
      'config\u00a0file\u00a0not\u00a0found',
    )
    await expect(gem.table('databases', ['-unknown-flag'])).rejects.toThrow('-unknown-flag')
  })

  test('its own parsing rules, told again rightly', () => {
    expect(parseTable('path  replicas\n/a/b.db\tfile,second  \n/c.db  s3')).toEqual([
      { path: '/a/b.db', replicas: 'file,second' },
      { path: '/c.db', replicas: 's3' },
    ])
    expect(parseTable('')).toEqual([])
    expect(parseTable('path  replicas')).toEqual([])
    expect(parseTable('level error\nERROR a\u00a0b')).toEqual([{ level: 'ERROR', error: 'a\u00a0b' }])
  })
})

describe('the replicating process', () => {
  test('its log, `ps`, and its end by the signal of the Puma plugin', async () => {
    const { root, gem, databases, replicate } = await makeWorld()
    const running = await replicate()
    // `ps -ax | grep litestream | grep replicate`, and each line must hold both words side by side; the last one wins.
    const processes = execFileSync('ps', ['-ax', '-o', 'pid,args'], { encoding: 'utf8' }).split('\n')
    const ours = processes.filter((line) => line.includes(root) && line.includes('litestream replicate'))
    expect(ours.map((line) => Number.parseInt(line, 10))).toEqual([running.pid])
    expect(basename(gem.executable)).toBe('litestream')

    const first = running.stdout().split('\n')[0] as string
    expect(first).toMatch(/^time=\S+ level=INFO msg=litestream version=v\d+\.\d+\.\d+$/)
    expect(running.stdout()).toMatch(/level=INFO msg="initialized db" path=\S+\/storage\/production\.sqlite3\n/)
    expect(running.stdout()).toMatch(
      /msg="replicating to" name=s3 type=s3 sync-interval=50ms bucket=\S+ path=storage\/production region=\S* endpoint=http\S+\n/,
    )
    databases.production.exec("insert into posts values ('last')")
    const end = await running.stop('SIGINT')
    expect([end.code, end.stderr]).toEqual([0, ''])
    expect(end.stdout.trimEnd().split('\n').at(-1)).toMatch(/msg="litestream shut down"$/)
    expect(end.stdout).toContain('msg="signal received, litestream shutting down"')
    await gem.restore('storage/production.sqlite3', ['-o', 'after.sqlite3', '-replica', 's3'])
    const restored = new Database(join(root, 'after.sqlite3'), { readonly: true })
    expect(restored.prepare('select title from posts').pluck().all()).toEqual(['last'])
    restored.close()
  })
})
