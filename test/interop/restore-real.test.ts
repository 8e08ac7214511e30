// The real Litestream 0.3.13 writes, we restore: at every index, at ten moments, from an older generation. Byte for byte what the
// real one restores, and a state that the application has committed.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import { formatMoment, type RestoreTarget } from '../../src/model/target.js'
import { buildTimelines, type GenerationTimeline, type ListedObject } from '../../src/model/timeline.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { openReplica } from '../../src/replica/open.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { runReal, startRealReplicate } from '../support/litestream-real.js'
import { minioServer } from '../support/minio.js'
import { runOurs } from '../support/programs.js'
import { suiteDirectory } from '../support/temp.js'
import { until } from '../support/until.js'

/** Writes so that every committed state can be recognised: `done` holds the count and a checksum over all rows. */
class Application {
  private readonly database: Database.Database
  private step = 0

  constructor(path: string, pageSize: number) {
    this.database = new Database(path, { timeout: 10_000 })
    this.database.pragma(`page_size = ${pageSize}`)
    this.database.pragma('journal_mode = WAL')
    this.database.exec(`
      CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, step INTEGER NOT NULL, text TEXT NOT NULL);
      CREATE INDEX IF NOT EXISTS item_text ON item (text);
      CREATE TABLE IF NOT EXISTS done (step INTEGER NOT NULL, items INTEGER NOT NULL, sum INTEGER NOT NULL);
      INSERT INTO done SELECT 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM done);`)
  }

  /** One transaction: rows added, changed and removed, now and then something large or a VACUUM. */
  write(): void {
    const step = ++this.step
    if (step % 40 === 0) this.database.exec('VACUUM')
    const insert = this.database.prepare('INSERT INTO item (step, text) VALUES (?, ?)')
    this.database.transaction(() => {
      const length = step % 17 === 0 ? 30_000 : 200
      for (let row = 0; row < 8; row++)
        insert.run(step, `${step}:${row}:${'x'.repeat(length + ((step * 7 + row) % 90))}`)
      this.database.prepare('UPDATE item SET step = ?, text = text || ? WHERE id % 11 = ?').run(step, 'y', step % 11)
      if (step % 5 === 0) this.database.prepare('DELETE FROM item WHERE id % 5 = ?').run((step / 5) % 5)
      this.database
        .prepare('UPDATE done SET step = ?, (items, sum) = (SELECT count(*), sum(step * 31 + length(text)) FROM item)')
        .run(step)
    })()
  }

  close(): void {
    this.database.pragma('wal_checkpoint(TRUNCATE)')
    this.database.close()
  }
}

/** Undefined when the file holds a state that was committed, else what is wrong with it. */
function problemOf(path: string): string | undefined {
  const bytes = readFileSync(path)
  bytes.set([1, 1], 18) // a database in memory cannot be in WAL mode
  const database = new Database(bytes)
  try {
    const [check] = database.pragma('integrity_check') as { integrity_check: string }[]
    if (check?.integrity_check !== 'ok') return check?.integrity_check ?? 'no answer'
    const row = database
      .prepare(
        'SELECT items, sum, (SELECT count(*) FROM item) AS c, (SELECT coalesce(sum(step * 31 + length(text)), 0) FROM item) AS s FROM done',
      )
      .get() as { items: number; sum: number; c: number; s: number } | undefined
    return row && row.items === row.c && row.sum === row.s ? undefined : `not a committed state: ${JSON.stringify(row)}`
  } catch (error) {
    return String(error)
  } finally {
    database.close()
  }
}

interface Storage {
  readonly client: ReplicaClient
  /** The replica in the real one's configuration. */
  readonly yaml: string
}

async function storageOf(kind: 'file' | 's3', directory: string): Promise<Storage> {
  if (kind === 'file') {
    const path = join(directory, 'replica')
    return { client: await openReplica({ type: 'file', path }), yaml: `path: ${path}` }
  }
  const { endpoint, accessKeyId, secretAccessKey, createBucket } = await minioServer()
  const bucket = await createBucket('restore-real')
  const place = { bucket, path: 'some/where', region: 'us-east-1', endpoint, forcePathStyle: true, skipVerify: false }
  const client = await openReplica({ type: 's3', ...place, accessKeyId, secretAccessKey })
  const yaml = `type: s3
        bucket: ${bucket}
        path: some/where
        endpoint: ${endpoint}
        access-key-id: ${accessKeyId}
        secret-access-key: ${secretAccessKey}`
  return { client, yaml }
}

describe.each([
  { kind: 'file', pageSize: 4096 },
  { kind: 's3', pageSize: 1024 },
] as const)('a $kind replica of the real one, pages of $pageSize bytes', ({ kind, pageSize }) => {
  const directory = suiteDirectory(`restore-real-${kind}`)
  const databasePath = join(directory, 'app.db')
  const config = join(directory, 'litestream-real.yml')
  const outputs = join(directory, 'out')
  let opened: Storage | undefined
  const storage = (): Storage => opened as Storage
  let generations: GenerationTimeline[] = []

  const list = async (): Promise<GenerationTimeline[]> => {
    const objects: ListedObject[] = []
    for await (const object of storage().client.list('generations/')) objects.push(object)
    return buildTimelines(objects).sort((a, b) => a.firstAtMs - b.firstAtMs)
  }

  beforeAll(async () => {
    mkdirSync(outputs)
    opened = await storageOf(kind, directory)
    const yaml = `
dbs:
  - path: ${databasePath}
    monitor-interval: 10ms
    checkpoint-interval: 500ms
    min-checkpoint-page-count: 400
    replicas:
      - ${storage().yaml}
        sync-interval: 30ms
        snapshot-interval: 1s
`
    const application = new Application(databasePath, pageSize)
    for (const round of [1, 2]) {
      const real = await startRealReplicate(directory, yaml)
      // Until this generation has several snapshots and indexes.
      await until(
        async () => {
          application.write()
          const current = (await list())[round - 1]
          return current && current.snapshots.length >= 3 && (current.segments.at(-1)?.index ?? 0) >= 8
        },
        { intervalMs: 5, timeoutMs: 90_000, what: 'the real Litestream to write some snapshots and indexes' },
      )
      await real.stop()
      // Without its local directory the next start begins a new generation.
      if (round === 1) rmSync(join(directory, '.app.db-litestream'), { recursive: true })
    }
    application.close()
    generations = await list()
    expect(generations).toHaveLength(2)
  })

  afterAll(() => opened?.client.close())

  let count = 0
  async function restoreBoth(flags: string[], target: RestoreTarget, generation?: string) {
    const real = join(outputs, `real-${++count}`)
    const ours = join(outputs, `ours-${count}`)
    const which = generation === undefined ? [] : ['-generation', generation]
    const finished = await runReal(['restore', '-config', config, '-o', real, ...which, ...flags, databasePath])
    const before = readdirSync(outputs).length
    const result = await restoreDatabase({
      replicas: [{ name: kind, client: storage().client }],
      outputPath: ours,
      target,
      generation,
      integrityCheck: 'quick',
      parallelism: 8,
      logger: silentLogger,
      monotonic: () => performance.now(),
    })
    expect(result).toBeDefined()
    expect(readdirSync(outputs).length, 'only the database is new').toBe(before + 1)
    expect(problemOf(ours)).toBeUndefined()
    return {
      real: finished.code === 0 ? readFileSync(real) : undefined,
      realPath: real,
      ours: readFileSync(ours),
      finished,
    }
  }

  test('the newest state is the source, byte for byte', async () => {
    const { real, ours } = await restoreBoth([], { kind: 'latest' })
    expect(ours.equals(real as Buffer)).toBe(true)
    expect(ours.equals(readFileSync(databasePath))).toBe(true)
  })

  test('our command with the configuration of the real one', async () => {
    const output = join(outputs, 'command')
    const { code, stdout, stderr } = await runOurs(['restore', '-config', config, '-o', output, databasePath])
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '' })
    expect(readFileSync(output).equals(readFileSync(databasePath))).toBe(true)
  })

  test('every index of both generations', async () => {
    for (const { generation, segments, snapshots } of generations) {
      const newest = segments.at(-1)?.index ?? 0
      for (let index = snapshots[0]?.index ?? 0; index <= newest; index++) {
        const hex = index.toString(16)
        const { real, ours } = await restoreBoth(['-index', hex], { kind: 'index', index }, generation)
        expect(ours.equals(real as Buffer), `index ${hex} of ${generation}`).toBe(true)
      }
    }
  })

  test('ten moments, in both generations', async () => {
    let equal = 0
    for (const timeline of generations) {
      const { generation, snapshots, segments } = timeline
      const times = [...new Set([...snapshots, ...segments].map(({ modifiedAtMs }) => modifiedAtMs))].sort(
        (a, b) => a - b,
      )
      const gaps = times.slice(1).map((time, place) => [times[place] as number, time] as const)
      // The real one writes its first segment and its first snapshot at the same time; either may be there first.
      const wholeAtMs = Math.max(segments[0]?.modifiedAtMs ?? 0, snapshots[0]?.modifiedAtMs ?? 0)
      const wide = gaps.filter(([from, to]) => to - from > 3 && from >= wholeAtMs)
      for (let i = 0; i < 5; i++) {
        const [from, to] = wide[Math.floor((i * (wide.length - 1)) / 4)] as readonly [number, number]
        const atMs = Math.floor((from + to) / 2)
        const flags = ['-timestamp', formatMoment(atMs)]
        const { real, realPath, ours } = await restoreBoth(flags, { kind: 'time', atMs }, generation)
        expect(real, 'the real one restores it').toBeDefined()
        if (ours.equals(real as Buffer)) {
          equal++
          continue
        }
        // Until a segment from after it is there, its snapshot may hold pages newer than itself: it may be torn, and may be whole, of later
        // transactions than any segment of that moment. Only then may the results differ: ours begins with the snapshot before (and is
        // whole, checked above).
        const snapshot = snapshots.findLast(({ modifiedAtMs }) => modifiedAtMs <= atMs)
        const isSettled = segments.some(
          ({ index, modifiedAtMs }) =>
            snapshot && index >= snapshot.index && modifiedAtMs > snapshot.modifiedAtMs && modifiedAtMs <= atMs,
        )
        const problem = problemOf(realPath) ?? 'sound'
        expect(isSettled, `${flags} of ${generation} differs from what the real one restores (${problem})`).toBe(false)
      }
    }
    expect(equal).toBeGreaterThanOrEqual(5)
  })

  test('after the newest moment gives the newest; before the oldest is refused with the bounds', async () => {
    const last = generations.at(-1) as GenerationTimeline
    const { ours } = await restoreBoth([], { kind: 'time', atMs: last.lastAtMs + 3_600_000 })
    expect(ours.equals(readFileSync(databasePath))).toBe(true)
    const first = generations[0] as GenerationTimeline
    const early: RestoreTarget = { kind: 'time', atMs: first.firstAtMs - 60_000 }
    await expect(restoreBoth([], early)).rejects.toThrow(/nothing at or before .*: the backups reach from .* to /)
  })
})
