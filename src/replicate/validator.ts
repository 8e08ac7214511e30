// Proves now and then that a replica restores to what the source holds: reads the digests of every page from the source again, waits
// for the moment at which the replica stands at the very same commit, restores the replica up to there (keeping digests only, nothing
// is written anywhere) and compares. Never against the digests of `digests.ts`: those say what we believe.
//
// An application that writes makes no false alarm, because both sides are taken at one commit. A mismatch is an error in the log, and
// a new generation. Whatever else gets in the way is inconclusive. One validation at a time in a process, at a small share of the
// time; a database that has not changed since it was found right is not validated again.

import { type TimerClock, wait } from '../clock.js'
import { LitestreamError, messageOf } from '../errors.js'
import { LogDuration, type Logger } from '../logger.js'
import { formatPosition, type Position } from '../model/position.js'
import type { ReplicaClient } from '../replica/client.js'
import { comparePlan, describeDifference, isReplicaDamage, planPosition } from '../restore/verify.js'
import type { Boundary } from './boundaries.js'
import type { Follower } from './follower.js'
import type { PageDigests } from './page-digests.js'
import type { Shipper } from './shipper.js'
import { Pace, SourceDigests } from './source-digests.js'

export interface Validation {
  readonly outcome: 'ok' | 'failed' | 'inconclusive'
  /** When it ended: milliseconds since 1970. */
  readonly atMs: number
  readonly elapsedMs: number
  /** Of `failed` and `inconclusive`; empty otherwise. */
  readonly reason: string
  /** What was compared; empty when it did not come so far. */
  readonly position: string
  readonly pageCount: number
}

export interface ValidatorOptions {
  readonly follower: Follower
  readonly shipper: Shipper
  /** The shipper's own; it closes it. */
  readonly client: ReplicaClient
  /** 0: only when it is asked to. */
  readonly intervalMs: number
  readonly turns: Turns
  /** For digests that do not fit memory. */
  readonly spoolDirectory?: string | undefined
  readonly clock: TimerClock
  readonly log: Logger
}

/** Of the time; the rest is the application's and replication's. */
const SHARE = 0.2
/** The replica has so long to get to the commit that was read. */
const BOUNDARY_MS_MAX = 300_000
/** What is damaged is read again before it is believed: a broken transfer is no broken replica. */
const ATTEMPTS = 2

/** One after the other. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work)
    this.last = turn.catch(() => {})
    return turn
  }
}

export class Validator {
  /** Those that came to an end, and when one was last found right. */
  readonly counts = { ok: 0, failed: 0, inconclusive: 0 }
  lastOkAtMs: number | undefined
  private result: Validation | undefined
  /** Where the replica stood when it was last found right. */
  private validated = ''
  private readonly abort = new AbortController()
  private running: Promise<void> | undefined
  private underWay: Promise<Validation> | undefined

  constructor(private readonly options: ValidatorOptions) {}

  /** The last one that came to an end. */
  get last(): Validation | undefined {
    return this.result
  }

  start(): void {
    if (this.options.intervalMs > 0) this.running ??= this.loop()
  }

  async stop(): Promise<void> {
    this.abort.abort(new LitestreamError('ABORTED', 'stopping'))
    await this.running
    await this.underWay?.catch(() => {})
  }

  /** One validation now, after whoever is at it already. Rejects only when it was stopped. */
  validate(): Promise<Validation> {
    this.underWay ??= this.options.turns
      .take(() => this.once())
      .finally(() => {
        this.underWay = undefined
      })
    return this.underWay
  }

  private async loop(): Promise<void> {
    const { clock, intervalMs, shipper } = this.options
    const { signal } = this.abort
    try {
      for (;;) {
        await wait(clock, intervalMs, signal)
        if (shipper.inSync && this.validated !== '' && this.validated === shipper.position) continue
        await this.validate()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  private async once(): Promise<Validation> {
    const { clock, log, follower, shipper, spoolDirectory } = this.options
    const { signal } = this.abort
    const startMs = clock.monotonic()
    const ended = (outcome: Validation['outcome'], reason: string, position = '', pageCount = 0): Validation => {
      const elapsedMs = clock.monotonic() - startMs
      this.counts[outcome]++
      if (outcome === 'ok') this.lastOkAtMs = clock.now()
      this.result = { outcome, reason, position, pageCount, atMs: clock.now(), elapsedMs }
      const attributes = { position: position || undefined, elapsed: new LogDuration(elapsedMs) }
      if (outcome === 'ok') log.info('validated', { ...attributes, pages: pageCount })
      else if (outcome === 'failed') log.error('validation mismatch', { ...attributes, error: reason })
      else log.warn('validation was inconclusive', { ...attributes, reason })
      return this.result
    }
    signal.throwIfAborted()
    const source = new SourceDigests(follower, new Pace(clock, SHARE), spoolDirectory)
    let frozen: PageDigests | undefined
    try {
      let boundary: Boundary<PageDigests>
      try {
        await source.read(signal)
        boundary = await this.commonMoment(source)
      } finally {
        source.close()
      }
      const { place } = boundary
      frozen = boundary.frozen
      const { pageCount } = frozen
      const position: Position = { generation: place.generation, index: place.end.index, offset: place.end.offset }
      const reason = await this.compare(frozen, position)
      if (reason === undefined) {
        this.validated = formatPosition(position)
        return ended('ok', '', formatPosition(position), pageCount)
      }
      this.validated = ''
      const result = ended('failed', reason, formatPosition(position), pageCount)
      shipper.beginAnew(position.generation, `validation mismatch: ${reason}`)
      return result
    } catch (error) {
      signal.throwIfAborted()
      return ended('inconclusive', messageOf(error))
    } finally {
      frozen?.release()
    }
  }

  /** The source's digests at a commit at which the replica stands as well. */
  private async commonMoment(source: SourceDigests): Promise<Boundary<PageDigests>> {
    const { clock, shipper } = this.options
    const tooLate = new AbortController()
    let frozen = undefined as PageDigests | undefined
    const late = new LitestreamError('STORAGE', 'the replica did not get to where the source was read')
    const cancel = clock.after(BOUNDARY_MS_MAX, () => tooLate.abort(late))
    try {
      const signal = AbortSignal.any([this.abort.signal, source.signal, tooLate.signal])
      const freeze = () => {
        frozen = source.frozen()
        return frozen
      }
      return await shipper.boundary(() => source.state, freeze, signal)
    } catch (error) {
      frozen?.release()
      throw error
    } finally {
      cancel()
    }
  }

  /** Why the replica does not hold at `position` what the source held; undefined when it does. */
  private async compare(source: PageDigests, position: Position): Promise<string | undefined> {
    const { client, clock, spoolDirectory } = this.options
    const { signal } = this.abort
    const pace = new Pace(clock, SHARE)
    let reason: string | undefined
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        const plan = await planPosition(client, position, signal)
        const options = { breathe: () => pace.rest(signal), signal, parallelism: 2, directory: spoolDirectory }
        const difference = await comparePlan(source, client, plan, options)
        if (!difference) return undefined
        reason = describeDifference(difference)
      } catch (error) {
        if (!isReplicaDamage(error)) throw error
        reason = error.message
      }
    }
    return reason
  }
}
