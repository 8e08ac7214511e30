// Many databases in one process, each with its follower and its replicas' shippers. One that fails does not touch the others.

import type { TimerClock } from '../clock.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import type { ReplicaClient } from '../replica/client.js'
import { CountingClient } from '../replica/with-counts.js'
import type { Source } from '../source/source.js'
import { ChunkPool } from '../source/spool.js'
import { DigestFile } from './digest-file.js'
import { Follower } from './follower.js'
import type { ConflictPolicy } from './other-writers.js'
import { Probe } from './probe.js'
import { type DaemonReport, type ReplicaUnit, reportDaemon } from './report.js'
import { Retention } from './retention.js'
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
  /** A replica that lacks a change for longer is unhealthy. */
  readonly maxBehindMs: number
  /** 0 or absent: everything is kept. */
  readonly retentionMs?: number | undefined
  readonly retentionCheckIntervalMs?: number | undefined
  readonly onConflict?: ConflictPolicy | undefined
  readonly takeOverAfterMs?: number | undefined
  readonly snapshotProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined
}

export interface DaemonDatabase {
  readonly path: string
  readonly monitorIntervalMs: number
  readonly minCheckpointPageCount: number
  readonly maxCheckpointPageCount: number
  readonly maxWalBytes: number
  readonly allowCheckpoint: boolean
  /** What each replica may keep there, in bytes. */
  readonly maxSpoolBytes?: number | undefined
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
  /** Page images that wait in memory, all databases together; what is more goes to the spool files. 96 MiB by default. */
  readonly pendingBytesMax?: number | undefined
  readonly source: Source
  readonly clock: TimerClock
  readonly randomHex: (bytes: number) => string
  /** This machine's name. */
  readonly host?: string | undefined
  readonly log: Logger
}

const PENDING_BYTES_MAX = 96 << 20

export class Daemon {
  private readonly units: {
    readonly path: string
    readonly log: Logger
    readonly follower: Follower
    readonly shippers: readonly Shipper[]
    /** In the order of the shippers. */
    readonly validators: readonly Validator[]
    readonly replicas: readonly (ReplicaUnit & { readonly probe: Probe })[]
    readonly retentions: readonly Retention[]
  }[]

  private readonly clock: TimerClock
  private startedAtMs: number

  constructor(options: DaemonOptions) {
    const { source, clock, randomHex, host } = options
    this.clock = clock
    this.startedAtMs = clock.now()
    const pool = new ChunkPool(options.pendingBytesMax ?? PENDING_BYTES_MAX)
    const windowTurns = new WindowTurns()
    const turns = new Turns()
    this.units = options.databases.map((database) => {
      const { path, maxSpoolBytes, spoolDirectory, heal, metaPath } = database
      const log = options.log.child({ db: path })
      const follower = new Follower({ ...database, source, pool, windowTurns, clock, log })
      const retentions: Retention[] = []
      const replicas = database.replicas.map((replica) => {
        const { name, maxBehindMs, validationIntervalMs: intervalMs } = replica
        const client = new CountingClient(replica.client)
        const shipperLog = log.child({ replica: name })
        const digestFile = metaPath === undefined ? undefined : new DigestFile(metaPath, path, name)
        const more = {
          client,
          pool,
          spoolDirectory,
          maxSpoolBytes,
          clock,
          randomHex,
          host,
          heal,
          digestFile,
          log: shipperLog,
        }
        const shipper = new Shipper(follower, { ...replica, ...more })
        const probe = new Probe({
          client,
          record: shipper.record,
          clock,
          onAnswer: () => shipper.tryNow(),
          onGone: (generation, reason) => shipper.beginAnew(generation, reason),
        })
        const validating = { follower, shipper, client, intervalMs, turns, spoolDirectory, clock, log: shipperLog }
        const validator = new Validator(validating)
        const { retentionMs = 0, retentionCheckIntervalMs: checkIntervalMs = retentionMs } = replica
        if (retentionMs > 0)
          retentions.push(new Retention(shipper, { client, retentionMs, checkIntervalMs, clock, log: shipperLog }))
        return { name, client, counts: client.counts, maxBehindMs, shipper, probe, validator }
      })
      const shippers = replicas.map(({ shipper }) => shipper)
      const validators = replicas.map(({ validator }) => validator)
      return { path, log, follower, replicas, shippers, validators, retentions }
    })
  }

  start(): void {
    this.startedAtMs = this.clock.now()
    for (const { follower, shippers, validators, retentions } of this.units) {
      follower.start()
      for (const one of [...shippers, ...validators, ...retentions]) one.start()
    }
  }

  /** How everything stands at this moment. */
  report(): DaemonReport {
    return reportDaemon(this.units, this.clock, this.startedAtMs)
  }

  /** Have each replica asked whether it is still there, at most once in 30 s. Resolves when all answers are there. */
  async probe(): Promise<void> {
    await Promise.all(this.units.flatMap(({ replicas }) => replicas.map(({ probe }) => probe.ask())))
  }

  /**
   * Reads what is committed by now, ships it, and lets go of everything, all databases at the same time. Rejects, after all of that,
   * when some replica lacks the newest changes.
   */
  async stop(deadlineMs: number): Promise<void> {
    const problems: string[] = []
    const endMs = this.clock.monotonic() + deadlineMs
    await Promise.all(
      this.units.map(async ({ path, log, follower, shippers, validators, retentions, replicas }) => {
        await Promise.all(
          [...validators, ...retentions, ...replicas.map(({ probe }) => probe)].map((one) => one.stop()),
        )
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
