// One case of a benchmark: a fresh copy of the database on a volume of its own, the application on it, a fresh bucket, and a
// contender that has taken its first snapshot. `remove` ends and deletes it all.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { type Child, startChild } from '../test/support/observer/child.js'
import { mustRun } from '../test/support/process.js'
import { listStored, removeBucket, type Stored } from './bucket.js'
import {
  type Contender,
  type Place,
  type Replicator,
  runCommand,
  SYNC_INTERVAL_MS,
  startReplicator,
  writeConfig,
} from './contenders.js'
import { type Mark, NEWEST_TRANSACTION_SQL } from './loads.js'
import type { Usage } from './process-usage.js'
import type { Stage } from './stage.js'

export interface SceneOptions {
  readonly databaseBytes: number
  readonly syncIntervalMs?: number | undefined
  /** The address of the store, for a replicator that is to reach it another way. */
  readonly endpoint?: string | undefined
  /** Nobody else wants a database of this size: it is made in place, and no second one is kept. */
  readonly once?: boolean | undefined
}

const POLL_MS = 100
const PATIENCE_MS = 600_000

export interface Settled {
  readonly stored: Stored
  readonly usage: Usage | undefined
  /** The newest transaction that a restore gives; undefined when it fails. */
  readonly restored: Mark | undefined
}

export class Scene implements Place {
  readonly directory: string
  readonly volume: string
  readonly databasePath: string
  readonly configPath: string
  readonly application: Child
  readonly syncIntervalMs: number
  replicator: Replicator | undefined
  bucket = ''
  /** From the replicator's start until its first snapshot was stored. */
  snapshotMs = 0
  /** When it was. */
  usageAtSnapshot: Usage | undefined

  private constructor(
    readonly stage: Stage,
    readonly contender: Contender,
    private readonly options: SceneOptions,
  ) {
    this.directory = mkdtempSync(join(stage.directory, 'case-'))
    this.volume = join(this.directory, 'volume')
    this.databasePath = join(this.volume, 'app.db')
    this.configPath = join(this.directory, 'litestream.yml')
    this.syncIntervalMs = options.syncIntervalMs ?? SYNC_INTERVAL_MS
    mkdirSync(this.volume)
    this.application = startChild(stage.application)
  }

  static async start(stage: Stage, contender: Contender, options: SceneOptions): Promise<Scene> {
    const scene = new Scene(stage, contender, options)
    try {
      await scene.begin()
      return scene
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  private async begin(): Promise<void> {
    const { stage, options, contender } = this
    if (options.once) await stage.fill(options.databaseBytes, this.databasePath)
    else await stage.copyTemplate(options.databaseBytes, this.databasePath)
    await this.application.call('open', this.databasePath)
    // A first write, so that there is a WAL to follow.
    await this.application.call('load', { kind: 'web', forMs: 1, seed: 1 })
    this.bucket = await stage.minio.createBucket('bench')
    const { accessKeyId, secretAccessKey, endpoint } = stage.minio
    const store = { accessKeyId, secretAccessKey, endpoint: options.endpoint ?? endpoint }
    const replication = { databasePath: this.databasePath, bucket: this.bucket, path: 'app' }
    writeConfig(this.configPath, store, [replication], this.syncIntervalMs)
    // What is still to be written back from the copy, or from the case before, must not disturb the measurement.
    await mustRun('sync', [], { timeoutMs: PATIENCE_MS })
    const beganMs = performance.now()
    this.replicator = await startReplicator(contender, this)
    if (!this.replicator) return
    while ((await this.stored()).snapshots === 0) {
      this.replicator.usage() // throws when it has ended
      if (performance.now() - beganMs > PATIENCE_MS) {
        throw new Error(`${contender} has stored no snapshot:\n${this.replicator.output()}`)
      }
      await sleep(POLL_MS / 4)
    }
    this.snapshotMs = performance.now() - beganMs
    this.usageAtSnapshot = this.replicator.usage()
    await this.untilQuiet(this.syncIntervalMs)
    await mustRun('sync', [], { timeoutMs: PATIENCE_MS })
  }

  stored(): Promise<Stored> {
    return listStored(this.stage.minio, this.bucket)
  }

  /** Waits until the replica holds transaction `last`, or gives up; a restore is the proof. */
  async settle(last: number, patienceMs = 120_000): Promise<Settled> {
    const deadlineMs = performance.now() + patienceMs
    for (;;) {
      // Nothing new for more than two sync intervals.
      const stored = await this.untilQuiet(2.5 * this.syncIntervalMs)
      const usage = this.replicator?.usage()
      const restored = await this.restore()
      if (restored?.transaction === last || performance.now() > deadlineMs) return { stored, usage, restored }
    }
  }

  /** Waits until what is stored has not changed for so long. */
  private async untilQuiet(quietMs: number): Promise<Stored> {
    let stored = await this.stored()
    let sinceMs = performance.now()
    for (const deadlineMs = sinceMs + PATIENCE_MS; performance.now() < deadlineMs; ) {
      await sleep(POLL_MS)
      this.replicator?.usage() // throws when it has ended
      const now = await this.stored()
      if (now.objects !== stored.objects || now.bytes !== stored.bytes) sinceMs = performance.now()
      stored = now
      if (performance.now() - sinceMs >= quietMs) break
    }
    return stored
  }

  /** The newest transaction of what the real Litestream that knows the layout restores; undefined when it cannot. */
  async restore(): Promise<Mark | undefined> {
    const output = join(this.directory, 'restored.db')
    const files = ['', '-wal', '-shm', '.tmp', '-txid'].map((suffix) => output + suffix)
    for (const file of files) rmSync(file, { force: true })
    const by = this.contender === 'litestream-0.5.17' ? this.contender : 'litestream-0.3.13'
    const { code } = await runCommand(by, ['restore', '-config', this.configPath, '-o', output, this.databasePath])
    if (code !== 0) return undefined
    const database = new Database(output)
    try {
      return database.prepare(NEWEST_TRANSACTION_SQL).get() as Mark
    } finally {
      database.close()
      for (const file of files) rmSync(file, { force: true })
    }
  }

  walBytes(): number {
    return statSync(`${this.databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Bytes on the application's volume that are not the application's. */
  foreignBytes(): number {
    const own = new Set(['', '-wal', '-shm'].map((suffix) => basename(this.databasePath) + suffix))
    return readdirSync(this.volume, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !own.has(entry.name))
      .reduce((sum, { parentPath, name }) => {
        return sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0)
      }, 0)
  }

  /** Everything dies at once. */
  async kill(): Promise<void> {
    const application = this.application.kill('SIGKILL')
    this.replicator?.kill()
    await Promise.all([application, this.replicator?.gone])
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
    if (this.bucket !== '') await removeBucket(this.stage.minio, this.bucket)
  }
}
