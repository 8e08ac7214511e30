// Many databases in one process, each with its follower and its replicas' shippers. One that fails does not touch the others.

import type { TimerClock } from '../clock.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import type { ReplicaClient } from '../replica/client.js'
import type { Source } from '../source/source.js'
import { ChunkPool } from '../source/spool.js'
import { DigestFile } from './digest-file.js'
import { Follower } from './follower.js'
import { Shipper } from './shipper.js'
import { Turns, Validator } from './validator.js'
import { WindowTurns } from './window.js'

export interface DaemonReplica {
  readonly name: string
  readonly client: ReplicaClient
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  /** 0: never. */
  readonly validationIntervalMs: number
  readonly snapshotProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined
}

export interface DaemonDatabase {
  readonly path: string
  readonly monitorIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly maxCheckpointPageCount: number
  readonly maxWalBytes: number
  readonly allowCheckpoint: boolean
  /** Where changed pages may be kept past memory; the system's temporary directory by default. Never the database's volume. */
  readonly spoolDirectory?: string | undefined
  /** After lost continuity ship the difference instead of a new generation; takes eight bytes of memory a page and replica. */
  readonly heal: boolean
  /** Where what healing takes survives a restart. Never the database's volume. */
  readonly metaPath?: string | undefined
  readonly replicas: readonly DaemonReplica[]
}

export interface DaemonOptions {
  readonly databases: readonly DaemonDatabase[]
  readonly source: Source
  readonly clock: TimerClock
  readonly randomHex: (bytes: number) => string
  readonly log: Logger
}

/** Page images that wait in memory, all databases together; what is more goes to the spool files. */
const PENDING_BYTES_MAX = 48 << 20

export class Daemon {
  private readonly units: {
    readonly path: string
    readonly log: Logger
    readonly follower: Follower
    readonly shippers: readonly Shipper[]
    /** In the order of the shippers. */
    readonly validators: readonly Validator[]
  }[]

  private readonly clock: TimerClock

  constructor(options: DaemonOptions) {
    const { source, clock, randomHex } = options
    this.clock = clock
    const pool = new ChunkPool(PENDING_BYTES_MAX)
    const windowTurns = new WindowTurns()
    const turns = new Turns()
    this.units = options.databases.map((database) => {
      const { path, spoolDirectory, heal, metaPath } = database
      const log = options.log.child({ db: path })
      const follower = new Follower({ ...database, source, pool, windowTurns, clock, log })
      const shippers = database.replicas.map((replica) => {
        const shipperLog = log.child({ replica: replica.name })
        const digestFile = metaPath === undefined ? undefined : new DigestFile(metaPath, path, replica.name)
        const more = { pool, spoolDirectory, clock, randomHex, heal, digestFile, log: shipperLog }
        return new Shipper(follower, { ...replica, ...more })
      })
      const validators = database.replicas.map(({ name, client, validationIntervalMs: intervalMs }, i) => {
        const shipper = shippers[i] as Shipper
        return new Validator({ follower, shipper, client, intervalMs, turns, clock, log: log.child({ replica: name }) })
      })
      return { path, log, follower, shippers, validators }
    })
  }

  start(): void {
    for (const { follower, shippers, validators } of this.units) {
      follower.start()
      for (const one of [...shippers, ...validators]) one.start()
    }
  }

  /**
   * Reads what is committed by now, ships it, and lets go of everything, all databases at the same time. Rejects, after all of that,
   * when some replica lacks the newest changes.
   */
  async stop(deadlineMs: number): Promise<void> {
    const problems: string[] = []
    const endMs = this.clock.monotonic() + deadlineMs
    await Promise.all(
      this.units.map(async ({ path, log, follower, shippers, validators }) => {
        await Promise.all(validators.map((validator) => validator.stop()))
        // Without its follower no snapshot can end and no replica can join: whoever is at it gets half of the time for that.
        await Promise.all(shippers.map((shipper) => shipper.settle(deadlineMs / 2)))
        const leftMs = Math.max(0, endMs - this.clock.monotonic())
        await follower.stop()
        for (const settled of await Promise.allSettled(shippers.map((shipper) => shipper.stop(leftMs)))) {
          if (settled.status === 'fulfilled') continue
          log.error('error closing db', { error: settled.reason })
          problems.push(`${path}: ${messageOf(settled.reason)}`)
        }
      }),
    )
    if (problems.length > 0) throw new LitestreamError('STORAGE', problems.join('; '))
  }
}
