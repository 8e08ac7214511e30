// What one replica has achieved and how far it is behind, measured from its own side: the age of the oldest change that was seen and
// is not acknowledged. Ages are differences of a monotonic clock taken when somebody asks, so they grow by themselves: a loop that
// hangs cannot freeze them. The shipper says what happens; nothing here decides anything.

import type { Clock } from '../clock.js'
import { kindOf, messageOf } from '../errors.js'

export interface StoredSnapshotInfo {
  readonly key: string
  /** Stored bytes. */
  readonly size: number
  readonly atMs: number
}

export interface ReplicaFailure {
  readonly message: string
  readonly kind: string
  readonly atMs: number
}

export class ReplicaRecord {
  /** The replica was seen or made to hold the database, in this run. */
  established = false
  /** Acknowledged uploads of segments and snapshots. */
  uploads = 0
  /** Uncompressed bytes of the segments among them. */
  walBytes = 0
  /** Wall-clock time of the newest of them in this run, and the same on the monotonic clock. */
  lastUploadAtMs: number | undefined
  lastUploadMonotonicMs = Number.NEGATIVE_INFINITY
  /** Generations that were begun in this run. */
  generations = 0
  /** Times that lost continuity was healed by comparison. */
  healed = 0
  lastSnapshot: StoredSnapshotInfo | undefined
  snapshotShare: number | undefined
  lastFailure: ReplicaFailure | undefined
  readonly failures = new Map<string, number>()
  /** In a row, up to now. */
  failuresInARow = 0
  failingSinceMs = 0
  /** Why changes are not collected any more, until the replica holds a state again. */
  overflow: string | undefined

  /** Monotonic: the oldest change that waits, that is on its way, and that was seen when continuity was lost. */
  private waitingSinceMs: number | undefined
  private departedSinceMs: number | undefined
  private apartSinceMs: number | undefined

  constructor(private readonly clock: Clock) {}

  /** A change was seen that the replica lacks. */
  changed(): void {
    this.waitingSinceMs ??= this.clock.monotonic()
  }

  /** All that waits goes now. */
  departed(): void {
    this.departedSinceMs ??= this.waitingSinceMs
    this.waitingSinceMs = undefined
  }

  /** What went is acknowledged. */
  arrived(): void {
    this.departedSinceMs = undefined
  }

  /** From here on the replica lacks whatever happens, until `reached`. */
  apart(): void {
    this.apartSinceMs ??= this.waitingSinceMs ?? this.clock.monotonic()
    this.waitingSinceMs = undefined
  }

  /** The replica holds a state of the database, and is told every change since. */
  reached(): void {
    this.established = true
    this.overflow = undefined
    this.apartSinceMs = undefined
    this.departedSinceMs = undefined
  }

  /** What was in the replica is gone. */
  gone(): void {
    this.established = false
    this.lastSnapshot = undefined
  }

  /** How much the replica lacks cannot be told before a snapshot was taken. */
  get lacksAll(): boolean {
    return this.apartSinceMs !== undefined
  }

  uploaded(uncompressedWalBytes: number): void {
    this.uploads++
    this.walBytes += uncompressedWalBytes
    this.lastUploadAtMs = this.clock.now()
    this.lastUploadMonotonicMs = this.clock.monotonic()
  }

  snapshotStored(snapshot: StoredSnapshotInfo): void {
    this.uploaded(0)
    this.lastSnapshot = snapshot
  }

  failed(error: unknown): void {
    if (this.failuresInARow++ === 0) this.failingSinceMs = this.clock.monotonic()
    const kind = kindOf(error)
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1)
    this.lastFailure = { message: messageOf(error).split('\n')[0] as string, kind, atMs: this.clock.now() }
  }

  worked(): void {
    this.failuresInARow = 0
  }

  /** Since when, on the monotonic clock, the replica lacks something; undefined when it lacks nothing that was seen. */
  get behindSinceMs(): number | undefined {
    const since = [this.waitingSinceMs, this.departedSinceMs, this.apartSinceMs].filter((ms) => ms !== undefined)
    return since.length === 0 ? undefined : Math.min(...since)
  }
}
