// Two real daemons on one replica: of the same database, and, worse, of a database and a copy of it that goes its own way, as when a
// second host is started by mistake. They are killed and started again at random while both are written to. Every generation that is
// left has to restore, by us and by the real Litestream, to a state that one of the two databases had.

import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import { FileClient } from '../../src/replica/file-client.js'
import { openReplica, type ReplicaTarget } from '../../src/replica/open.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { Random } from '../crash/random.js'
import { runReal } from '../support/litestream-real.js'
import { type MinioServer, minioServer } from '../support/minio.js'
import type { Running } from '../support/process.js'
import { runOurs } from '../support/programs.js'
import { unconditional } from '../support/s3-proxy.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { App, linesWith, rowsIn, s3Target, s3Yaml, startWithConfig, untilReplicated } from './replicating.js'

/** The rows of a restored file that SQLite finds nothing wrong with. */
function soundRowsIn(path: string): string[] {
  const database = new Database(path)
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
  database.close()
  return rowsIn(path)
}

/** Restores every generation that has a snapshot, both ways; returns how many there were. */
async function expectSound(
  target: ReplicaTarget,
  directory: string,
  apps: readonly App[],
  note: string,
): Promise<number> {
  const mirror = join(directory, 'mirror')
  rmSync(mirror, { recursive: true, force: true })
  const remote = await openReplica(target)
  const local = new FileClient({ path: mirror })
  const born = new Set<string>()
  for await (const { key } of remote.list('generations/')) {
    await local.put(key, await remote.get(key))
    if (key.includes('/snapshots/')) born.add(key.split('/')[1] as string)
  }
  await remote.close()
  const output = join(directory, 'out', 'restored.db')
  mkdirSync(join(directory, 'out'), { recursive: true })
  // One commit is one row: a state is a beginning of what one of the databases got. The table itself is a commit too.
  const states = new Set(
    apps.flatMap(({ rows }) => rows.map((_, count) => rows.slice(0, count + 1).join('|'))).concat(''),
  )
  for (const generation of born) {
    await restoreDatabase({
      replicas: [{ name: 'mirror', client: local }],
      outputPath: output,
      target: { kind: 'latest' },
      generation,
      integrityCheck: 'full',
      parallelism: 4,
      logger: silentLogger,
      monotonic: () => performance.now(),
    })
    const ours = soundRowsIn(output).join('|')
    expect(states.has(ours), `${note}: ${generation} by us: ${ours}`).toBe(true)
    const real = await runReal(['restore', '-generation', generation, '-o', output, `file://${mirror}`])
    expect(real.code, real.stderr + real.stdout).toBe(0)
    expect(soundRowsIn(output).join('|'), `${note}: ${generation} by the real one`).toBe(ours)
  }
  return born.size
}

interface Side {
  readonly app: App
  readonly directory: string
  readonly yaml: string
  daemon: Running | undefined
}

async function scene(minio: MinioServer, bucket: string, copy: boolean, more = '') {
  const directory = tempDirectory('two-writers')
  const sideOf = (name: string, app: App): Side => {
    const folder = join(directory, name)
    mkdirSync(folder, { recursive: true })
    const replica = `{${s3Yaml(minio, bucket, 'app')}, sync-interval: 20ms${more}}`
    const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [${replica}]}]\n`
    return { app, directory: folder, yaml, daemon: undefined }
  }
  const target = s3Target(minio, bucket, 'app')
  const first = sideOf('first', new App(join(directory, 'a', 'app.db')))
  for (let i = 0; i < 3; i++) first.app.write(`before ${i}`)
  first.daemon = await start(first)
  await untilReplicated(first.app, target, directory)
  let second: Side
  if (copy) {
    // By another process: closing a descriptor of the database here would drop the locks of the application, which is this process.
    execFileSync('cp', ['-r', join(directory, 'a'), join(directory, 'b')])
    rmSync(join(directory, 'b', 'app.db-shm'))
    const app = new App(join(directory, 'b', 'app.db'))
    app.rows.push(...first.app.rows)
    second = sideOf('second', app)
  } else second = sideOf('second', first.app)
  return { directory, target, sides: [first, second] as const }
}

const start = ({ directory, yaml }: Side): Promise<Running> => startWithConfig(directory, yaml)
const met = (log: string): number => linesWith(log, 'another writer has gone on').length

describe.each([
  ['the same database', false],
  ['a copy of the database that goes its own way', true],
])('%s', (_, copy) => {
  test('killed and started again at random: no generation is ever corrupted', async () => {
    const seed = Number(process.env.TWO_WRITERS_SEED ?? randomInt(1e6))
    console.info(`seed ${seed} (TWO_WRITERS_SEED)`)
    const random = new Random(seed)
    const minio = await minioServer()
    const bucket = await minio.createBucket('two')
    const { directory, target, sides } = await scene(minio, bucket, copy)
    let conflicts = 0
    sides[1].daemon = await start(sides[1])
    // Both know the same generation and stand at the same place; the first commit is wanted by both.
    await sides[1].daemon.waitForLine(/continuing generation/)
    for (const { app } of new Set(sides)) app.write('wanted by both')
    await until(() => sides.some(({ daemon }) => met(daemon?.stdout() ?? '') > 0), {
      what: 'one of them to meet the other',
    })
    const end = async (side: Side, kill: boolean): Promise<void> => {
      if (!side.daemon) return
      if (kill) side.daemon.kill('SIGKILL')
      else side.daemon.kill('SIGTERM')
      conflicts += met((await side.daemon.finished).stdout)
      side.daemon = undefined
    }
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 10; i++) {
        for (const { app } of new Set(sides)) app.write(`${app.path.at(-8)} ${round} ${i}`)
        await new Promise((resolve) => setTimeout(resolve, 15 * random.next()))
      }
      const side = random.pick(sides)
      await end(side, random.chance(0.7))
      side.daemon = await start(side)
      if (random.chance(0.7)) await side.daemon.waitForLine(/continuing generation|snapshot written/)
    }
    for (const side of sides) await end(side, false)
    expect(conflicts).toBeGreaterThan(0)
    const generations = await expectSound(target, directory, [sides[0].app, sides[1].app], `seed ${seed}`)
    expect(generations).toBeGreaterThan(1)
  }, 240_000)
})

test('on-conflict: stand-by leaves the replica to the other daemon, and takes over when that one has stopped', async () => {
  const minio = await minioServer()
  const bucket = await minio.createBucket('two')
  const { directory, target, sides } = await scene(
    minio,
    bucket,
    false,
    ', on-conflict: stand-by, take-over-after: 12s',
  )
  const [first, second] = sides
  second.daemon = await start(second)
  await second.daemon.waitForLine(/continuing generation/)
  // Whoever is faster with this one has the replica from here on.
  first.app.write('both want it')
  const lines = (side: Side, ...parts: string[]) => linesWith(side.daemon?.stdout() ?? '', ...parts)
  await until(() => sides.some((side) => lines(side, 'another writer has gone on').length > 0), { what: 'a conflict' })
  const loser = lines(first, 'another writer has gone on').length > 0 ? first : second
  const winner = loser === first ? second : first
  await untilReplicated(first.app, target, directory)
  // It says so, and is healthy.
  const config = ['-config', join(loser.directory, 'litestream.yml')]
  const status = await runOurs(['status', '-json', ...config])
  expect(JSON.parse(status.stdout).databases[0].replicas).toMatchObject([
    {
      state: 'stand-by',
      secondsBehind: 0,
      reason: expect.stringMatching(/^it is left to .*litestream-node.* for 12s$/),
    },
  ])
  expect(status).toMatchObject({ code: 0, stderr: '' })
  expect(await runOurs(['databases', ...config])).toMatchObject({ code: 0, stderr: '' })
  expect((await (winner.daemon as Running).stop()).code).toBe(0)
  winner.daemon = undefined
  await (loser.daemon as Running).waitForLine(/taking over.*the other writer has stopped/)
  first.app.write('after the other has stopped')
  await untilReplicated(first.app, target, directory)
  const end = await (loser.daemon as Running).stop()
  expect(end.code).toBe(0)
  expect(await expectSound(target, directory, [first.app], 'stand-by')).toBe(1)
}, 120_000)

test.each([
  ['takes no notice of', undefined],
  ['refuses', [501, 'NotImplemented'] as const],
])(
  'a store that %s If-None-Match: a generation is gone on with after a clean stop only',
  async (_, refusal) => {
    const minio = await minioServer()
    const bucket = await minio.createBucket('two')
    const { directory, target, sides } = await scene(await unconditional(minio, refusal), bucket, true)
    const [first, second] = sides
    expect(linesWith(first.daemon?.stdout() ?? '', 'no conditional writes')).toHaveLength(1)
    const generations = (log: string): number => {
      expect(linesWith(log, 'level=ERROR')).toEqual([])
      return linesWith(log, 'sync: new generation').length
    }

    // While the first one runs.
    second.daemon = await start(second)
    await second.daemon.waitForLine(/sync: new generation.*no mark says that the last writer has stopped/)
    await second.daemon.waitForLine(/snapshot written/)
    for (let i = 0; i < 20; i++) for (const [place, { app }] of sides.entries()) app.write(`together ${place} ${i}`)
    expect(generations((await (first.daemon as Running).stop()).stdout)).toBe(1)
    // The newest state is whatever came last, of two daemons that know nothing of each other.
    second.app.write('the newer one')
    await untilReplicated(second.app, target, directory)
    second.daemon.kill('SIGKILL')
    await second.daemon.finished

    // After the second one was killed: its generation is the newest, and nothing says that it is over.
    second.daemon = await start(second)
    await second.daemon.waitForLine(/snapshot written/)
    second.app.write('once more')
    await untilReplicated(second.app, target, directory)
    expect((await second.daemon.stop()).code).toBe(0)

    // After it stopped cleanly.
    second.daemon = await start(second)
    await second.daemon.waitForLine(/continuing generation/)
    second.app.write('the last one')
    await untilReplicated(second.app, target, directory)
    expect(generations((await second.daemon.stop()).stdout)).toBe(0)
    expect(await expectSound(target, directory, [first.app, second.app], 'unconditional')).toBe(3)
  },
  120_000,
)
