// Compares replicas with a live database from any process on its machine, while the application and the daemon go on: a follower of our
// own, for as long as it takes. It reads digests of every page, stands at some commit, and waits until the replica's newest object
// stands for that commit or for a later one of the same WAL cycle; then what lies between is read from the WAL, so that
// both sides are at one commit. What is equal is right in any case; what differs is wrong only at the same commit.

import { type TimerClock, wait } from '../clock.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import { formatPosition } from '../model/position.js'
import { type Provenance, sameState } from '../model/provenance.js'
import { formatMoment } from '../model/target.js'
import type { RestorePlan } from '../plan/restore-plan.js'
import { type NamedReplica, selectReplica } from '../restore/select.js'
import { comparePlan, describeDifference, isReplicaDamage } from '../restore/verify.js'
import type { Source } from '../source/source.js'
import { ChunkPool } from '../source/spool.js'
import { Follower } from './follower.js'
import { loadPageHash, type PageDigests } from './page-digests.js'
import type { SourceState } from './sink.js'
import { Pace, SourceDigests } from './source-digests.js'
import { WindowTurns } from './window.js'

export interface Verdict {
  readonly outcome: 'ok' | 'failed' | 'inconclusive'
  /** Empty when it is ok. */
  readonly reason: string
  /** The newest object that was restored; empty when it did not come so far. */
  readonly position: string
  readonly pageCount: number
}

export interface LiveComparisonOptions {
  readonly path: string
  readonly source: Source
  readonly clock: TimerClock
  readonly log: Logger
  readonly parallelism: number
}

/** A state of the source that a replica can be compared with. */
interface Anchor {
  readonly pages: PageDigests
  readonly state: SourceState
}

interface Newest {
  readonly plan: RestorePlan
  readonly position: string
  /** Of the newest object; undefined when another program wrote it. */
  readonly provenance: Provenance | undefined
}

const LOOK_MS = 250
/** So long may the follower be busy with something else. */
const ANSWER_MS_MAX = 5000
const DAMAGE_SEEN = 3
const SPOOL_BYTES = 8 << 20

export class LiveComparison {
  private readonly follower: Follower
  private readonly digests: SourceDigests
  private anchor: Anchor | undefined
  /** In looks one after the other. */
  private damage: { readonly text: string; readonly seen: number } | undefined

  constructor(private readonly options: LiveComparisonOptions) {
    this.follower = new Follower({
      ...options,
      monitorIntervalMs: 1000,
      minCheckpointPageCount: 1000,
      maxCheckpointPageCount: 0,
      maxWalBytes: 128 << 20,
      allowCheckpoint: false,
      pool: new ChunkPool(SPOOL_BYTES),
      windowTurns: new WindowTurns(),
    })
    this.digests = new SourceDigests(this.follower, new Pace(options.clock, 1))
    this.follower.start()
  }

  /** Reads every page of the source. Throws with the reason when that cannot be done before `signal` aborts. */
  async read(signal: AbortSignal): Promise<void> {
    try {
      await this.digests.read(signal)
    } catch (error) {
      const { status, reason } = this.follower
      if (status === 'attached' || status === 'quiescent') throw error
      throw new LitestreamError('SOURCE', `the database cannot be observed: ${reason}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    this.digests.close()
    this.anchor?.pages.release()
    await this.follower.stop()
  }

  /** Until there is a verdict, or `deadline` aborts: then what is equal is still found right. */
  async verdict(replica: NamedReplica, deadline: AbortSignal, cancel: AbortSignal): Promise<Verdict> {
    const either = AbortSignal.any([deadline, cancel])
    this.damage = undefined
    for (let first = true, last = false; ; first = false, last = deadline.aborted) {
      cancel.throwIfAborted()
      const verdict = await this.once(replica, first, last, cancel)
      if (verdict) return verdict
      await wait(this.options.clock, LOOK_MS, either).catch(() => {})
    }
  }

  /** Undefined: nothing can be said yet. */
  private async once(
    replica: NamedReplica,
    first: boolean,
    last: boolean,
    signal: AbortSignal,
  ): Promise<Verdict | undefined> {
    let newest: Newest | undefined
    try {
      this.digests.signal.throwIfAborted()
      this.renewAnchor()
      newest = await newestOf(replica, signal)
      if (!newest) return { outcome: 'failed', reason: 'there is no backup in it', position: '', pageCount: 0 }
      const common = await this.commonState(newest, signal)
      if (common) {
        try {
          return await this.compare(replica, newest, common.pages, true, signal)
        } finally {
          if (common !== this.anchor) common.pages.release()
        }
      }
      const { anchor } = this
      if (!anchor) return last ? inconclusive('the source is never at rest', newest) : undefined
      // Restoring is work: without a common commit it is worth it at the beginning, for a database at rest, and at the end.
      if (!first && !last && !this.damage) return undefined
      const verdict = await this.compare(replica, newest, anchor.pages, false, signal)
      return last || verdict.outcome === 'ok' ? verdict : undefined
    } catch (error) {
      signal.throwIfAborted()
      if (isReplicaDamage(error)) {
        // Objects may be in the making, or in the taking away: damage is believed when it stays like that.
        this.damage =
          this.damage?.text === error.message
            ? { ...this.damage, seen: this.damage.seen + 1 }
            : { text: error.message, seen: 1 }
        if (last || this.damage.seen >= DAMAGE_SEEN) {
          return { outcome: 'failed', reason: error.message, position: newest?.position ?? '', pageCount: 0 }
        }
      }
      return last || this.digests.signal.aborted ? inconclusive(messageOf(error), newest) : undefined
    }
  }

  private async compare(
    { client }: NamedReplica,
    newest: Newest,
    source: PageDigests,
    sameCommit: boolean,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const options = { breathe: async () => signal.throwIfAborted(), signal, parallelism: this.options.parallelism }
    const { plan, position } = newest
    const difference = await comparePlan(source, client, plan, options)
    const pageCount = source.pageCount
    if (!difference) return { outcome: 'ok', reason: '', position, pageCount }
    const reason = describeDifference(difference)
    if (sameCommit) return { outcome: 'failed', reason, position, pageCount }
    const when = formatMoment(plan.stateAtMs)
    return inconclusive(`the replica stands for the state of ${when}, and the source has gone on: ${reason}`, newest)
  }

  /** The first state of a WAL cycle that was seen: whatever the replica reaches in this cycle comes after it. */
  private renewAnchor(): void {
    const { state } = this.digests
    if (!state) return
    const old = this.anchor && cursorOf(this.anchor.state)
    const now = cursorOf(state)
    if (old && now && old.salt1 === now.salt1 && old.salt2 === now.salt2) return
    if (!old && !now && this.anchor && sameState(this.anchor.state.source, state.source)) return
    const pages = this.digests.frozen()
    this.anchor?.pages.release()
    this.anchor = { pages, state }
  }

  /** The source's digests at the very state that the newest object stands for. */
  private async commonState({ provenance }: Newest, signal: AbortSignal): Promise<Anchor | undefined> {
    const { anchor } = this
    if (!anchor || !provenance) return undefined
    const [from, to] = [cursorOf(anchor.state), cursorOf(provenance)]
    if (!from || !to) return sameState(anchor.state.source, provenance.source) ? anchor : undefined
    const hash = await loadPageHash()
    const pages = anchor.pages.copy(anchor.pages.pageCount)
    const take = (page: number, image: Uint8Array): void => pages.set(page, hash(image))
    const late = new AbortController()
    const cancel = this.options.clock.after(ANSWER_MS_MAX, () =>
      late.abort(new LitestreamError('SOURCE', 'the source does not answer')),
    )
    try {
      const isThere = await this.follower.between(from, to, take, AbortSignal.any([signal, late.signal]))
      if (isThere) {
        pages.resize(provenance.pageCount)
        return { pages, state: anchor.state }
      }
      pages.release()
      return undefined
    } catch (error) {
      pages.release()
      throw error
    } finally {
      cancel()
    }
  }
}

const inconclusive = (reason: string, newest: Newest | undefined): Verdict => ({
  outcome: 'inconclusive',
  reason,
  position: newest?.position ?? '',
  pageCount: 0,
})

async function newestOf(replica: NamedReplica, signal: AbortSignal): Promise<Newest | undefined> {
  const { usable } = await selectReplica([replica], { kind: 'latest' }, undefined, signal)
  const [chosen] = usable
  if (!chosen) return undefined
  const { plan } = chosen
  const object = plan.segments.at(-1) ?? plan.snapshot
  const provenance = await chosen.replica.provenance.read(object)
  const { generation, index } = object
  const offset = plan.segments.at(-1)?.offset ?? 0
  return { plan, provenance, position: formatPosition({ generation, index, offset }) }
}

function cursorOf({ source }: Pick<SourceState, 'source'>) {
  return 'cursor' in source ? source.cursor : undefined
}
