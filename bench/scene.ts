// One case of a benchmark: a fresh copy of the database on a volume of its own, the application on it, a fresh bucket, and a
// contender that has taken its first snapshot. `remove` ends and deletes it all, except for what is stored in the bucket.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { runReal } from '../test/support/litestream-real.js'
import type { MinioServer } from '../test/support/minio.js'
import { type Child, startChild } from '../test/support/observer/child.js'
import { mustRun } from '../test/support/process.js'
import { listStored, type Stored } from './bucket.js'
import {
  type Contender,
  type Place,
  type Replicator,
  SYNC_INTERVAL_MS,
  startReplicator,
  writeConfig,
} from './contenders.js'
import { type Mark, NEWEST_TRANSACTION_SQL } from './loads.js'
import type { Usage } from './process-usage.js'

/** What all cases of one run share. */
export interface Stage {
  readonly directory: string
  readonly minio: MinioServer
  /** Path of the application, as a program for node. */
  readonly application: string
  /** The database that every case begins with. */
  readonly template: string
  readonly say: (text: string) => void
}

const POLL_MS = 250
/** Nothing new in the bucket for so long: more than two sync intervals. */
const QUIET_MS = 2.5 * SYNC_INTERVAL_MS
const PATIENCE_MS = 120_000

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
  replicator: Replicator | undefined
  bucket = ''

  private constructor(private readonly stage: Stage) {
    this.directory = mkdtempSync(join(stage.directory, 'case-'))
    this.volume = join(this.directory, 'volume')
    this.databasePath = join(this.volume, 'app.db')
    this.configPath = join(this.directory, 'litestream.yml')
    mkdirSync(this.volume)
    cpSync(stage.template, this.databasePath)
    this.application = startChild(stage.application)
  }

  static async start(stage: Stage, contender: Contender): Promise<Scene> {
    const scene = new Scene(stage)
    try {
      await scene.begin(contender)
      return scene
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  private async begin(contender: Contender): Promise<void> {
    await this.application.call('open', this.databasePath)
    // A first write, so that there is a WAL to follow.
    await this.application.call('load', { kind: 'web', forMs: 1, seed: 1 })
    this.bucket = await this.stage.minio.createBucket('bench')
    writeConfig(this, this.stage.minio, this.bucket)
    this.replicator = await startReplicator(contender, this)
    if (this.replicator) {
      const { snapshots } = await this.untilQuiet((stored) => stored.snapshots > 0, SYNC_INTERVAL_MS)
      if (snapshots === 0) throw new Error(`${contender} has stored no snapshot:\n${this.replicator.output()}`)
    }
    // What is still to be written back from the copy, or from the case before, must not disturb the measurement.
    await mustRun('sync', [])
  }

  stored(): Promise<Stored> {
    return listStored(this.stage.minio, this.bucket)
  }

  /** Waits until the replica holds transaction `last`, or gives up; a restore is the proof. */
  async settle(last: number): Promise<Settled> {
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      const stored = await this.untilQuiet(() => true, QUIET_MS)
      const usage = this.replicator?.usage()
      const restored = await this.restore()
      if (restored?.transaction === last || performance.now() > deadlineMs) return { stored, usage, restored }
    }
  }

  /** Waits until what is stored is `enough` and has not changed for so long, or gives up. */
  private async untilQuiet(enough: (stored: Stored) => boolean, quietMs: number): Promise<Stored> {
    let stored = await this.stored()
    let sinceMs = performance.now()
    for (const deadlineMs = sinceMs + PATIENCE_MS; performance.now() < deadlineMs; ) {
      await sleep(POLL_MS)
      this.replicator?.usage() // throws when it has ended
      const now = await this.stored()
      if (now.objects !== stored.objects || now.bytes !== stored.bytes || !enough(now)) sinceMs = performance.now()
      stored = now
      if (performance.now() - sinceMs >= quietMs) break
    }
    return stored
  }

  /** The newest transaction of what the real 0.3.13 restores; undefined when it cannot. */
  async restore(): Promise<Mark | undefined> {
    const output = join(this.directory, 'restored.db')
    for (const suffix of ['', '-wal', '-shm']) rmSync(output + suffix, { force: true })
    const { code } = await runReal(['restore', '-config', this.configPath, '-o', output, this.databasePath])
    if (code !== 0) return undefined
    const database = new Database(output, { readonly: true })
    try {
      return database.prepare(NEWEST_TRANSACTION_SQL).get() as Mark
    } finally {
      database.close()
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
  }
}
