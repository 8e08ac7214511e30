// The real daemon in a simulated process: started, crashed, stopped, and looked at from inside.

import type { LitestreamError } from '../../src/errors.js'
import type { Attributes, Logger } from '../../src/logger.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { Daemon } from '../../src/replicate/daemon.js'
import type { Place } from '../../src/replicate/replica-writer.js'
import type { Source } from '../../src/source/source.js'
import type { Circumstances } from './circumstances.js'
import { DATABASE_PATH, type Observer } from './observer.js'
import type { Process, Scheduler } from './scheduler.js'

interface Started {
  readonly observer: Observer
  readonly client: ReplicaClient
  readonly source: Source
}

interface Inside {
  readonly units: readonly {
    readonly follower: { readonly status: string; readonly reason: string }
    readonly shippers: readonly {
      readonly inSync: boolean
      readonly position: string
      readonly failures: { readonly failing: boolean }
      readonly writer: { readonly place: Place | undefined }
    }[]
  }[]
}

export const RETENTION_CHECK_INTERVAL_MS = 500

/** A daemon of which at most one incarnation is alive. */
export class SimulatedDaemon {
  process: Process
  observer: Observer | undefined
  /** Why the last graceful stop was not complete. */
  failure: string | undefined
  private daemon: Daemon | undefined
  private place: Place | undefined
  private stopping = false
  private starts = 0
  private downUntilMs = Number.NEGATIVE_INFINITY

  constructor(
    private readonly name: string,
    private readonly scheduler: Scheduler,
    private readonly circumstances: Circumstances,
    private readonly begin: (process: Process) => Started,
  ) {
    this.process = { name, alive: false }
  }

  get alive(): boolean {
    return this.process.alive
  }

  private get inside(): Inside | undefined {
    return this.daemon as unknown as Inside | undefined
  }

  get inSync(): boolean {
    const unit = this.inside?.units[0]
    const observed = unit?.follower.status === 'attached' || unit?.follower.status === 'quiescent'
    return (
      !this.stopping &&
      observed &&
      (unit?.shippers.every(({ inSync, failures }) => inSync && !failures.failing) ?? false)
    )
  }

  get waitsForApplication(): boolean {
    const { status, reason } = this.inside?.units[0]?.follower ?? {}
    return status === 'waiting' && /no application has the database open/.test(reason ?? '')
  }

  describe(): string {
    const unit = this.inside?.units[0]
    const shippers = unit?.shippers.map(({ inSync, position }) => `${position} ${inSync ? 'in sync' : 'behind'}`)
    return `${this.process.name} is ${unit?.follower.status} (${unit?.follower.reason}), ${shippers}`
  }

  /** The replica's position when it is another one than at the last call. */
  movedTo(): Place | undefined {
    const place = this.inside?.units[0]?.shippers[0]?.writer.place
    if (!this.alive || place === this.place) return undefined
    this.place = place
    return place
  }

  start(): void {
    const { scheduler, circumstances } = this
    if (this.alive || scheduler.monotonicMs < this.downUntilMs) return
    const process = { name: `${this.name}.${++this.starts}`, alive: true }
    const random = scheduler.random(1000 + this.starts * 10 + Number(this.name.at(-1)))
    const { observer, client, source } = this.begin(process)
    const {
      monitorIntervalMs,
      syncIntervalMs,
      snapshotIntervalMs,
      minCheckpointPageCount,
      heal,
      validationIntervalMs,
    } = circumstances
    scheduler.note(`${process.name}: starts`)
    this.process = process
    this.observer = observer
    this.stopping = false
    this.failure = undefined
    this.daemon = new Daemon({
      databases: [
        {
          path: DATABASE_PATH,
          monitorIntervalMs,
          minCheckpointPageCount,
          maxCheckpointPageCount: 10_000,
          maxWalBytes: 128 << 20,
          allowCheckpoint: false,
          heal,
          replicas: [
            {
              name: 'store',
              client,
              syncIntervalMs,
              snapshotIntervalMs,
              validationIntervalMs,
              maxBehindMs: 60_000,
              retentionMs: circumstances.retentionMs,
              retentionCheckIntervalMs: RETENTION_CHECK_INTERVAL_MS,
            },
          ],
        },
      ],
      source,
      clock: scheduler.clockOf(process),
      randomHex: (bytes) => random.bytes(bytes).toString('hex'),
      log: this.logger(process),
    })
    this.daemon.start()
  }

  private logger(process: Process): Logger {
    const { scheduler } = this
    const line =
      (level: string) =>
      (message: string, attributes: Attributes = {}) => {
        const { reason, error, generation, position } = attributes
        const parts = [reason, generation, position, error instanceof Error ? error.message : error]
        const extra = parts.filter((part) => part !== undefined).join(' ')
        if (process.alive) scheduler.note(`${process.name}: ${level} ${message} ${extra}`)
        if (message.startsWith('another writer') && String(attributes.other).includes(String(attributes.writer)))
          scheduler.fail(`${process.name} takes itself for another writer`)
        if (message.startsWith('unexpected error')) scheduler.fail(`${message}: ${(error as LitestreamError)?.stack}`)
      }
    const logger: Logger = {
      debug: () => {},
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
      child: () => logger,
    }
    return logger
  }

  /** Cannot be started for `downMs`. */
  crash(downMs = 0): void {
    this.downUntilMs = Math.max(this.downUntilMs, this.scheduler.monotonicMs + downMs)
    if (!this.alive) return
    this.scheduler.note(`${this.process.name}: dies`)
    this.process.alive = false
    this.observer?.die()
    this.daemon = undefined
  }

  stop(deadlineMs: number): void {
    const { daemon, process, observer, scheduler } = this
    if (!this.alive || this.stopping || !daemon) return
    this.stopping = true
    scheduler.note(`${process.name}: is told to stop`)
    daemon
      .stop(deadlineMs)
      .catch((error: Error) => {
        if (this.process === process) this.failure = error.message
      })
      .then(() => {
        if (!process.alive) return
        scheduler.note(`${process.name}: has stopped`)
        if (observer && observer.connections.size > 0)
          scheduler.fail(`${process.name} holds connections after it has stopped`)
        process.alive = false
        this.daemon = undefined
      })
  }
}
