// Asks one replica whether it is still there: reads the last byte of its newest snapshot, the cheapest request that tells whether
// the storage answers, the credentials count, and bucket and snapshot exist. Only when somebody wants to know, and then at most once
// in 30 s; a replica that did not answer is asked again by itself every 10 s until it does, so that its recovery is known at once.

import type { TimerClock } from '../clock.js'
import { isLitestreamError, messageOf } from '../errors.js'
import { parseKey } from '../model/layout.js'
import type { ReplicaClient } from '../replica/client.js'
import type { ReplicaRecord } from './replica-record.js'

export const PROBE_PAUSE_MS = 30_000
const PROBE_AGAIN_MS = 10_000
const PROBE_TIMEOUT_MS = 10_000

export interface ProbeOptions {
  readonly client: ReplicaClient
  readonly record: ReplicaRecord
  readonly clock: TimerClock
  /** The storage answered. */
  readonly onAnswer: () => void
  /** It answered that the newest snapshot is not there. */
  readonly onGone: (generation: string, reason: string) => void
}

export class Probe {
  private asking: Promise<void> | undefined
  private askedAtMs = Number.NEGATIVE_INFINITY
  private answeredAtMs = Number.NEGATIVE_INFINITY
  private problem: string | undefined
  private cancelAgain = () => {}
  private readonly abort = new AbortController()

  constructor(private readonly options: ProbeOptions) {}

  /** Resolves when the question that is under way, if there is one, has its answer. Never rejects. */
  ask(): Promise<void> {
    const restMs = this.askedAtMs + PROBE_PAUSE_MS - this.options.clock.monotonic()
    if (!this.asking && restMs <= 0) this.begin()
    return this.asking ?? Promise.resolve()
  }

  /** What the last question gave; undefined when none was answered, or something was uploaded since. */
  result(): { readonly problem: string | undefined; readonly ageMs: number } | undefined {
    const { clock, record } = this.options
    if (this.answeredAtMs < record.lastUploadMonotonicMs || this.answeredAtMs === Number.NEGATIVE_INFINITY) return
    return { problem: this.problem, ageMs: clock.monotonic() - this.answeredAtMs }
  }

  /** For how long an answer has been waited for; 0 when none is expected. */
  get askedForMs(): number {
    return this.asking ? this.options.clock.monotonic() - this.askedAtMs : 0
  }

  async stop(): Promise<void> {
    this.cancelAgain()
    this.abort.abort()
    await this.asking
  }

  private begin(): void {
    const { lastSnapshot, established } = this.options.record
    // Nothing is there to ask for; its absence is told without a question.
    if (this.abort.signal.aborted || !lastSnapshot || !established) return
    this.cancelAgain()
    this.askedAtMs = this.options.clock.monotonic()
    this.asking = this.question(lastSnapshot.key, lastSnapshot.size).finally(() => {
      this.asking = undefined
      if (this.problem === undefined || this.abort.signal.aborted) return
      this.cancelAgain = this.options.clock.after(PROBE_AGAIN_MS, () => this.begin())
    })
  }

  private async question(key: string, size: number): Promise<void> {
    const { client, record, clock, onAnswer, onGone } = this.options
    const timeout = new AbortController()
    const cancel = clock.after(PROBE_TIMEOUT_MS, () => timeout.abort())
    const signal = AbortSignal.any([this.abort.signal, timeout.signal])
    let problem: string | undefined
    let gone = false
    try {
      const body = await client.get(key, { start: Math.max(0, size - 1), signal })
      for await (const _ of body);
    } catch (error) {
      if (this.abort.signal.aborted) return
      gone = isLitestreamError(error, 'NOT_FOUND')
      // A newer one was made meanwhile, and this one expired.
      if (gone && record.lastSnapshot?.key !== key) return
      problem = timeout.signal.aborted
        ? `${client.url} has not answered for ${PROBE_TIMEOUT_MS / 1000}s`
        : messageOf(error)
      if (gone) problem = `the newest snapshot is gone: ${problem}`
    } finally {
      cancel()
    }
    this.problem = problem
    this.answeredAtMs = clock.monotonic()
    if (gone) onGone(parseKey(key)?.generation ?? '', problem as string)
    if (problem === undefined || gone) onAnswer()
  }
}
