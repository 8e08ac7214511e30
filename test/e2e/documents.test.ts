// docs/restore-drill.md and docs/migrating.md, executed: their lines as printed, on this machine. Only the names of a machine are
// replaced (paths, moments, the user of root-less runs), and `sqlite3` stands for whatever looks into a copy.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FileClient } from '../../src/replica/file-client.js'
import { runReal, startRealReplicate } from '../support/litestream-real.js'
import { freePort } from '../support/minio-server.js'
import { type Printed, printed } from '../support/printed.js'
import { type Finished, run } from '../support/process.js'
import { distMain, runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  endWithTest,
  expectGoodEnd,
  filesBelow,
  fileTarget,
  snapshotsIn,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

const drill = printed('restore-drill')
const migrating = printed('migrating')

/** Runs printed lines in a shell that knows `litestream` and `sqlite3`. */
class Shell {
  readonly directory = tempDirectory('documents')
  readonly storage = join(this.directory, 'storage')
  readonly config = join(this.directory, 'litestream.yml')

  constructor() {
    mkdirSync(this.storage)
    mkdirSync(join(this.directory, 'tmp'))
  }

  async run(line: string): Promise<Finished> {
    const [uid, gid] = [process.getuid?.(), process.getgid?.()]
    const here = line
      .replaceAll('/tmp/', `${join(this.directory, 'tmp')}/`)
      .replaceAll('/etc/litestream.yml', this.config)
      .replaceAll('/rails/storage', this.storage)
      .replaceAll('DB_PATH', join(this.storage, 'production.sqlite3'))
      .replaceAll('1000:1000', uid === 0 ? '1000:1000' : `${uid}:${gid}`)
    const look = `const database = new (require('better-sqlite3'))(process.argv[1]); console.log(database.prepare(process.argv[2]).raw().get().join('|'))`
    const functions = `litestream() { "$NODE" "$MAIN" "$@"; }; sqlite3() { "$NODE" -e "$LOOK" "$@"; }`
    const env = { NODE: process.execPath, MAIN: await distMain(), LOOK: look, LITESTREAM_CONFIG: this.config }
    return await run('bash', ['-c', `${functions}\n${here}`], { env, timeoutMs: 120_000 })
  }

  async good(line: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(line)
    expect(code, `${line}\n${stdout}${stderr}`).toBe(0)
    return stdout + stderr
  }
}

const linesOf = (document: Printed, text: string): string[] => document.block(text).trim().split('\n')

/** An application with orders, one for each day. */
function openOrders(path: string) {
  const database = new Database(path)
  onTestFinished(() => void database.close())
  database.pragma('journal_mode = WAL')
  database.exec('CREATE TABLE IF NOT EXISTS orders (created_at TEXT)')
  return {
    order: (day: string) => void database.prepare('INSERT INTO orders VALUES (?)').run(day),
    close: () => database.close(),
  }
}

describe('the restore drill', () => {
  test('the drill itself, line by line', async () => {
    const shell = new Shell()
    const { directory, storage } = shell
    mkdirSync(join(directory, 'replica'))
    const orders = openOrders(join(storage, 'production.sqlite3'))
    orders.order('2026-01-14')
    const daemon = await startWithConfig(
      directory,
      `dbs: [{path: ${storage}/production.sqlite3, monitor-interval: 20ms, replicas: [{path: ${directory}/replica, sync-interval: 20ms}]}]\n`,
    )
    await daemon.waitForLine(/snapshot written/)
    const moment = new Date().toISOString()
    // A moment is a millisecond: what comes next belongs to a later one.
    await until(() => new Date().toISOString() > moment)
    orders.order('2026-01-15')
    await daemon.waitForLine(/wal segment written/)

    const [doctor = '', dryRun = '', restore = '', look = '', yesterday = ''] = linesOf(drill, '## The drill')
    expect(await shell.good(doctor)).toMatch(/\n0 errors, \d+ warnings?\n$/)
    // As the text says: they are in the way, and -replace shows the plan for replacing them.
    const inTheWay = await shell.run(dryRun)
    expect([inTheWay.code, inTheWay.stdout]).toEqual([
      1,
      expect.stringMatching(/in the way +.*output path already exists/),
    ])
    const replacing = await shell.run(dryRun.replace('-all', '-all -replace'))
    expect(replacing.code).toBe(1)
    expect(replacing.stdout).toMatch(/leads to [\s\S]*moved aside: .*\n +in the way +\S+ is open in process \d+/)
    expect(await shell.good(restore)).toMatch(/msg=restored.* state=20\d\d-/)
    expect(await shell.good(look)).toBe('2|2026-01-15\n')
    await shell.good(yesterday.replace('2026-01-14T18:00:00Z', moment))
    expect(await shell.good(look.replace('drill.db', 'yesterday.db'))).toBe('1|2026-01-14\n')
    expectGoodEnd(await daemon.stop())
  }, 60_000)

  test('an empty volume at boot: nothing without a backup, the database from it, nothing where one is', async () => {
    const shell = new Shell()
    const { directory, storage } = shell
    const [line = ''] = linesOf(drill, '## Into an empty volume, at boot')
    const elsewhere = openOrders(join(directory, 'elsewhere.db'))
    const entry = (path: string) => `dbs: [{path: ${path}, replicas: [{path: ${directory}/replica}]}]\n`
    writeFileSync(shell.config, entry(`${storage}/production.sqlite3`))
    expect(await shell.good(line)).toContain('no matching backups found')
    expect(readdirSync(storage)).toEqual([])

    const daemon = await startWithConfig(directory, entry(join(directory, 'elsewhere.db')))
    elsewhere.order('2026-01-14')
    await daemon.waitForLine(/snapshot written/)
    expectGoodEnd(await daemon.stop())
    writeFileSync(shell.config, entry(`${storage}/production.sqlite3`))
    await shell.good(line)
    expect(readdirSync(storage)).toEqual(['production.sqlite3'])
    const uid = process.getuid?.() || 1000
    for (const path of [storage, `${storage}/production.sqlite3`]) expect(statSync(path).uid, path).toBe(uid)
    const before = statSync(`${storage}/production.sqlite3`, { bigint: true }).mtimeNs
    expect(await shell.good(line)).toContain('database already exists, skipping')
    expect(statSync(`${storage}/production.sqlite3`, { bigint: true }).mtimeNs).toBe(before)
    // A store that cannot be reached is not hidden.
    const nobody = `type: s3, bucket: b, endpoint: "http://127.0.0.1:${await freePort()}", access-key-id: k, secret-access-key: s`
    for (const place of [nobody, `path: ${shell.config}/x`]) {
      writeFileSync(shell.config, `dbs: [{path: ${storage}/other.sqlite3, replicas: [{${place}}]}]\n`)
      expect((await shell.run(line)).code, place).toBe(1)
    }
    expect(existsSync(`${storage}/other.sqlite3`)).toBe(false)
  }, 60_000)
})

test('from Litestream 0.3 and back: the same configuration, one replica, and every generation restores with both', async () => {
  const shell = new Shell()
  const { directory, storage } = shell
  const app = new App(join(storage, 'production.sqlite3'))
  const replica = join(directory, 'replica')
  mkdirSync(replica)
  // With a key that only we know.
  const yaml = `dbs:\n- path: ${app.path}\n  monitor-interval: 50ms\n  replicas:\n  - {path: ${replica}, sync-interval: 50ms, max-behind: 40s}\n`
  writeFileSync(shell.config, yaml)
  const generations = () => new FileClient({ path: replica }).listNames('generations/')
  const original = endWithTest(await startRealReplicate(directory, yaml))
  app.write('with the original')
  await untilReplicated(app, fileTarget(replica), directory)
  const [first] = await generations()

  const doctor = 'litestream doctor -config /etc/litestream.yml'
  const dryRun = 'litestream restore -dry-run -o /tmp/x.db DB_PATH'
  for (const line of [doctor, dryRun]) expect(migrating.has(`\`${line}\``)).toBe(true)
  await shell.good(doctor)
  expect((await original.stop()).code).toBe(0)
  const left = () => filesBelow(storage).filter((name) => name.includes('-litestream'))
  const leftBefore = left()
  expect(leftBefore).not.toEqual([])

  const ours = await startWithConfig(directory, yaml)
  app.write('with us')
  await untilReplicated(app, fileTarget(replica), directory)
  expect(await generations()).toHaveLength(2)
  expect(await shell.good(dryRun)).toMatch(/leads to {4}20\d\d-/)
  expect(existsSync(join(directory, 'tmp', 'x.db'))).toBe(false)
  expectGoodEnd(await ours.stop())
  expect(left()).toEqual(leftBefore)
  const [second] = (await generations()).filter((name) => name !== first)

  const again = endWithTest(await startRealReplicate(directory, yaml))
  app.write('with the original again')
  await until(async () => (await generations()).length === 3 && snapshotsIn(replica).length === 3, {
    what: 'a generation of its own',
  })
  await untilReplicated(app, fileTarget(replica), directory)
  expect((await again.stop()).code).toBe(0)
  for (const [generation, rows] of [
    [first, 1],
    [second, 2],
  ] as const) {
    const read: Buffer[] = []
    for (const [name, restore] of [
      ['ours', runOurs],
      ['real', runReal],
    ] as const) {
      const output = join(directory, 'tmp', `${generation}-${name}.db`)
      const words = ['restore', '-generation', generation as string, '-o', output, `file://${replica}`]
      const { code, stdout, stderr } = await restore(words)
      expect(code, stdout + stderr).toBe(0)
      read.push(readFileSync(output))
      const database = new Database(output)
      const found = database.prepare('SELECT name FROM commits ORDER BY rowid').pluck().all()
      database.close()
      expect(found, `${generation} by ${name}`).toEqual(app.rows.slice(0, rows))
    }
    expect(read[0]?.equals(read[1] as Buffer)).toBe(true)
  }
}, 120_000)
