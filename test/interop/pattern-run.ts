// Runs one pattern: an application process that does what the pattern says to its database, our real command that replicates it
// meanwhile to a directory and to MinIO, and at the end the verdict: the real Litestream 0.3.13 and our own restore, from both
// replicas, must give the same bytes as the source. The same configuration file serves both programs.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Application } from '../support/application.js'
import { runReal } from '../support/litestream-real.js'
import type { MinioServer } from '../support/minio.js'
import type { Running } from '../support/process.js'
import { runOurs, startOurs } from '../support/programs.js'
import { until } from '../support/until.js'
import { differingPages } from './compare.js'

export interface Pattern {
  readonly name: string
  /** Pragmas for the new database, before it is put in WAL mode. */
  readonly create?: readonly string[]
  /** Pragmas of every connection of the application. */
  readonly pragmas?: readonly string[]
  readonly schema?: string
  /** The database is there, the daemon follows it and its first snapshot is written, unless `start` says otherwise. */
  run(world: World): Promise<void>
  readonly start?: 'followed' | 'nothing'
  /**
   * How many generations each replica may need. A number: exactly. 'told': as many as the log names losses of continuity, plus the
   * first one; for loads whose WAL restarts while the pin is let go, where a slow machine may miss one.
   */
  readonly generations?: number | 'told'
  readonly replicas?: readonly ReplicaName[]
  /** Wants the machine for itself. */
  readonly alone?: boolean
  /** The source is too large to be serialized: checkpoint it and compare its file. */
  readonly large?: boolean
}

const NEW_GENERATION = 'msg="sync: new generation"'

export type ReplicaName = 'file' | 's3'

export class World {
  readonly databasePath: string
  readonly configPath: string
  readonly app: Application
  readonly replicas: readonly ReplicaName[]
  private daemon: Running | undefined
  private earlierOutput = ''

  private constructor(
    readonly pattern: Pattern,
    readonly directory: string,
  ) {
    mkdirSync(join(directory, 'data'), { recursive: true })
    this.databasePath = join(directory, 'data', 'app.db')
    this.configPath = join(directory, 'litestream.yml')
    this.app = new Application(this.databasePath)
    this.replicas = pattern.replicas ?? ['file', 's3']
  }

  static async make(pattern: Pattern, directory: string, minio: () => Promise<MinioServer>): Promise<World> {
    const world = new World(pattern, directory)
    const lines = [
      'dbs:',
      `  - path: ${world.databasePath}`,
      '    monitor-interval: 100ms',
      // Windows from this size of the WAL on; where a loss would fail the test, the WAL stays below.
      `    min-checkpoint-page-count: ${pattern.generations === 'told' ? 100 : 1000}`,
      '    replicas:',
      '      - name: file',
      `        path: ${join(directory, 'replica')}`,
      '        sync-interval: 50ms',
    ]
    if (world.replicas.includes('s3')) {
      const server = await minio()
      lines.push(
        '      - name: s3',
        '        type: s3',
        `        bucket: ${await server.createBucket('pattern')}`,
        '        path: some/prefix',
        '        region: us-east-1',
        `        endpoint: ${server.endpoint}`,
        `        access-key-id: ${server.accessKeyId}`,
        `        secret-access-key: ${server.secretAccessKey}`,
        '        sync-interval: 50ms',
      )
    }
    writeFileSync(world.configPath, `${lines.join('\n')}\n`)
    return world
  }

  /** Everything that our command has logged, over all its lives. */
  get log(): string {
    return this.earlierOutput + (this.daemon?.output() ?? '')
  }

  /** Lines with this message, of this replica. */
  count(message: string, replica: ReplicaName): number {
    const lines = this.log.split('\n')
    return lines.filter((line) => line.includes(message) && line.includes(`replica=${replica}`)).length
  }

  async create(): Promise<void> {
    const { create = [], pragmas = [], schema } = this.pattern
    await this.app.open([...create, 'journal_mode = WAL', ...pragmas])
    if (schema) await this.app.exec(schema)
  }

  /** The application opens its database (again). */
  async open(): Promise<void> {
    await this.app.open(this.pattern.pragmas)
  }

  async startDaemon(): Promise<void> {
    this.daemon = await startOurs(['replicate', '-config', this.configPath])
  }

  /** Until every replica has shipped something since now, counted from before `work`. */
  async step(work: () => Promise<void>): Promise<void> {
    const shipped = (replica: ReplicaName): number =>
      this.count('msg="wal segment written"', replica) + this.count('msg="snapshot written"', replica)
    const before = this.replicas.map(shipped)
    await work()
    await this.wait(() => this.replicas.every((replica, place) => shipped(replica) > (before[place] as number)))
  }

  /** Until the log says so for every replica, `times` times in all. */
  async logged(message: string, times = 1): Promise<void> {
    await this.wait(() => this.replicas.every((replica) => this.count(message, replica) >= times))
  }

  async wait(condition: () => boolean | Promise<boolean>): Promise<void> {
    try {
      await until(condition, { timeoutMs: 90_000 })
    } catch (cause) {
      throw new Error(`${this.pattern.name}: waited in vain; the log is:\n${this.log}`, { cause })
    }
  }

  /** Until every replica stands in a generation whose snapshot is there: a snapshot under way is given up at a stop. */
  async settled(): Promise<void> {
    await this.wait(() =>
      this.replicas.every((replica) => {
        const lines = this.log.split('\n').filter((line) => line.includes(`replica=${replica}`))
        const [, generation] =
          /generation=(\w+)/.exec(lines.findLast((line) => line.includes(NEW_GENERATION)) ?? '') ?? []
        return lines.some((line) => line.includes(`msg="snapshot written"`) && line.includes(`position=${generation}/`))
      }),
    )
  }

  async killDaemon(): Promise<void> {
    await this.endDaemon('SIGKILL')
  }

  /** As in production: the last sync is part of it. */
  async stopDaemon(): Promise<void> {
    const code = await this.endDaemon('SIGTERM')
    expect(code, this.log).toBe(0)
  }

  private async endDaemon(signal: NodeJS.Signals): Promise<number> {
    const { daemon } = this
    if (!daemon) throw new Error('there is no daemon')
    const { code } = await daemon.stop(signal, { timeoutMs: 90_000 })
    this.earlierOutput += daemon.output()
    this.daemon = undefined
    return code
  }

  /** Whatever still runs. */
  async close(): Promise<void> {
    if (this.daemon) await this.endDaemon('SIGKILL')
    await this.app.kill()
  }
}

export async function runPattern(world: World): Promise<void> {
  const { pattern } = world
  if (pattern.start !== 'nothing') {
    await world.create()
    await world.startDaemon()
    await world.logged('msg="snapshot written"')
  }
  await pattern.run(world)
  if (pattern.generations === 'told') await world.step(() => world.app.exec('PRAGMA user_version = 1'))
  await world.settled()
  await world.stopDaemon()
  checkGenerations(world)
  await checkRestores(world)
}

function checkGenerations(world: World): void {
  const { generations = 1 } = world.pattern
  for (const replica of world.replicas) {
    const begun = world.count(NEW_GENERATION, replica)
    if (generations !== 'told') {
      expect(begun, world.log).toBe(generations)
    } else {
      const losses = world.log.split('\n').filter((line) => line.includes('msg="lost sight of the WAL"')).length
      expect(begun, world.log).toBeGreaterThanOrEqual(1)
      expect(begun, world.log).toBeLessThanOrEqual(1 + losses)
    }
  }
}

async function checkRestores(world: World): Promise<void> {
  const { pattern, app, directory, databasePath, configPath } = world
  let source = join(directory, 'source.db')
  if (pattern.large) {
    await app.checkpoint('TRUNCATE')
    source = databasePath
  } else {
    await app.serialize(source)
  }
  const [row] = await app.all<{ page_size: number }>('PRAGMA page_size')
  const pageSize = row?.page_size as number
  const restore = async (by: 'real' | 'ours', replica: ReplicaName): Promise<string> => {
    const output = join(directory, `${by}-${replica}.db`)
    const args = ['restore', '-config', configPath, '-replica', replica, '-o', output, databasePath]
    const { code, stdout, stderr } = await (by === 'real' ? runReal(args) : runOurs(args))
    expect(code, `${by} restore from ${replica}: ${stdout}${stderr}\n${world.log}`).toBe(0)
    return output
  }
  const outputs = await Promise.all(
    world.replicas.flatMap((replica) => [restore('real', replica), restore('ours', replica)]),
  )
  const [first, ...others] = outputs as [string, ...string[]]
  for (const output of others) expect(differingPages(first, output, pageSize), `${first} and ${output}`).toEqual([])

  const differing = differingPages(first, source, pageSize)
  expect(differing, `pages of ${first} that differ from the source\n${world.log}`).toEqual([])
  expect(await app.integrity(first)).toBe('ok')
}
