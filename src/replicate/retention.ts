// Deletes what the policy of one replica no longer needs: one check every retention-check-interval, the first one after the first
// interval. What may go is decided by plan/retention-plan; this file lists, asks, deletes and tells.
//
// - A check costs requests only when something was shipped since the last one, or something is due by time alone. So an idle
//   database costs none: one listing after the start, and one for each snapshot that grows old enough to release what is before it.
// - One listing for a check, and a small read for a snapshot or two; then the deletions, batch after batch.
// - It may run beside anything that the shipper does: what it deletes lies before a snapshot that stays, or in generations that are
//   not the shipper's. While the shipper has no generation that can be restored, it waits.
// - What was listed counts for half of the retention: a plan that comes to be carried out later is made again at the next check.
// - A failure is told once, and the next check tries again.

import { elapsedMs, present, type TimerClock, wait } from '../clock.js'
import { messageOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { GENERATIONS_PREFIX } from '../model/layout.js'
import { formatMoment } from '../model/target.js'
import type { StoredObject } from '../model/timeline.js'
import { RetentionClock } from '../plan/retention-clock.js'
import { FactsCollector, type OwnGeneration, type ReplicaFacts } from '../plan/retention-facts.js'
import { planRetention, type RetentionPlan } from '../plan/retention-plan.js'
import type { Moment } from '../plan/snapshot-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'

/** The shipper of the same replica, as far as retention knows it. */
export interface RetentionShipper {
  /** The generation that is written; undefined while none that can be restored is. */
  readonly ownGeneration: OwnGeneration | undefined
  /** Uploads that were acknowledged so far. */
  readonly uploads: number
  /** Go on in a new generation, if this one is still the shipper's. */
  beginAnew(generation: string, reason: string): void
}

export interface RetentionOptions {
  readonly client: ReplicaClient
  /** Above 0. */
  readonly retentionMs: number
  readonly checkIntervalMs: number
  readonly clock: TimerClock
  readonly log: Logger
}

export class Retention {
  private readonly time: RetentionClock
  private readonly startedAtMs: number
  private inherited = false
  private uploadsAtCheck = -1
  private nextDueMs = Number.NEGATIVE_INFINITY
  /** The own generation was listed without a snapshot, the last time. */
  private orphaned = false
  private failure: { readonly text: string; readonly sinceMs: number } | undefined
  private readonly abort = new AbortController()
  private running: Promise<void> | undefined

  constructor(
    private readonly shipper: RetentionShipper,
    private readonly options: RetentionOptions,
  ) {
    const { clock, retentionMs } = options
    this.time = new RetentionClock(retentionMs)
    this.startedAtMs = clock.monotonic()
    this.time.look(clock.now(), this.startedAtMs)
  }

  start(): void {
    this.running ??= this.loop()
  }

  /** Ends a check that is under way, at once. Before the client is closed. */
  async stop(): Promise<void> {
    this.abort.abort()
    await this.running
  }

  private async loop(): Promise<void> {
    const { clock, checkIntervalMs } = this.options
    const { signal } = this.abort
    try {
      for (;;) {
        await wait(clock, checkIntervalMs, signal)
        await this.check()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** One check, if it is worth one. Never rejects. */
  async check(): Promise<void> {
    const { clock, log } = this.options
    // Also when nothing else is done: a jump is seen best when it is young.
    const nowMs = this.time.look(clock.now(), clock.monotonic())
    const { ownGeneration: own, uploads } = this.shipper
    if (!own || (uploads === this.uploadsAtCheck && nowMs < this.nextDueMs)) return
    try {
      await this.enforce(own)
      this.uploadsAtCheck = uploads
      if (!this.failure) return
      log.info('retention works again', { elapsed: new LogDuration(clock.monotonic() - this.failure.sinceMs) })
      this.failure = undefined
    } catch (error) {
      if (this.abort.signal.aborted) return
      this.nextDueMs = Number.NEGATIVE_INFINITY
      const text = messageOf(error)
      if (!this.failure) log.error('retainer error', { error })
      else if (this.failure.text !== text) log.warn('retention is still failing, for another reason', { error })
      this.failure = { text, sinceMs: this.failure?.sinceMs ?? clock.monotonic() }
    }
  }

  private async enforce(own: OwnGeneration): Promise<void> {
    const { client } = this.options
    const { signal } = this.abort
    const listedAt = present(this.options.clock)
    const facts = await this.list(own)
    if (this.wasTakenAway(facts, own)) return
    const plan = await this.plan(facts, own)
    const deleted = new Set<string>()
    try {
      for (const batch of plan.batches) {
        if (this.isOutdated(listedAt)) break
        await client.delete(batch, signal)
        for (const key of batch) deleted.add(key)
      }
    } finally {
      this.tell(plan, deleted)
    }
    const done = plan.batches.every((batch) => batch.every((key) => deleted.has(key)))
    this.nextDueMs = done ? plan.nextDueMs : Number.NEGATIVE_INFINITY
  }

  /**
   * So long after the listing another writer, whose generation was the older one, may have become the newest, and may have taken ours for
   * the older one.
   */
  private isOutdated(listedAt: Moment): boolean {
    const { clock, retentionMs } = this.options
    return elapsedMs(listedAt, present(clock)) >= retentionMs / 2
  }

  private async list(own: OwnGeneration): Promise<ReplicaFacts> {
    const { client, clock, retentionMs } = this.options
    const nowMs = clock.now()
    const hasRun = clock.monotonic() - this.startedAtMs >= retentionMs
    const believableMs = hasRun ? nowMs : Number.POSITIVE_INFINITY
    const collector = new FactsCollector({ believableMs, cutoffMs: nowMs - retentionMs, own })
    for await (const object of client.list(GENERATIONS_PREFIX, this.abort.signal)) collector.add(object)
    return collector.facts()
  }

  private async plan(facts: ReplicaFacts, own: OwnGeneration): Promise<RetentionPlan> {
    const { client, clock, retentionMs } = this.options
    if (!this.inherited && Number.isFinite(facts.inheritedAtMs))
      this.time.provenAt(facts.inheritedAtMs, this.startedAtMs)
    this.inherited = true
    const nowMs = this.time.look(clock.now(), clock.monotonic())
    const reader = new ProvenanceReader(client, this.abort.signal)
    return await reader.answer(planRetention({ facts, own, nowMs, retentionMs }))
  }

  /**
   * Somebody deleted the generation's snapshots: what is shipped to it cannot be restored. Believed at the second look, because some
   * stores list what is new only after a while.
   */
  private wasTakenAway({ generations }: ReplicaFacts, own: OwnGeneration): boolean {
    const listed = generations.find(({ generation }) => generation === own.generation)
    const orphaned = !listed || listed.snapshots.length === 0
    if (orphaned && this.orphaned) {
      this.shipper.beginAnew(own.generation, 'the snapshots of the generation are gone')
    }
    this.orphaned = orphaned && !this.orphaned
    // Look again at the next check in any case.
    if (orphaned) this.nextDueMs = Number.NEGATIVE_INFINITY
    return orphaned
  }

  /** What was deleted, also when the check was broken off. */
  private tell({ removals, nextDueMs }: RetentionPlan, deleted: ReadonlySet<string>): void {
    const { log } = this.options
    const count = (objects: readonly StoredObject[]): number => objects.filter(({ key }) => deleted.has(key)).length
    for (const { generation, reason, beforeIndex, ...removal } of removals) {
      const [snapshots, segments] = [count(removal.snapshots), count(removal.segments)]
      if (reason !== 'expired') {
        if (snapshots + segments > 0) log.info('generation deleted', { generation, reason, snapshots, segments })
        continue
      }
      if (snapshots > 0) log.info('snapshot deleted', { generation, index: beforeIndex, n: snapshots })
      if (segments > 0) log.info('wal segmented deleted before', { generation, index: beforeIndex, n: segments })
    }
    const next = Number.isFinite(nextDueMs) ? formatMoment(nextDueMs) : undefined
    log.debug('retention checked', { next })
  }
}
