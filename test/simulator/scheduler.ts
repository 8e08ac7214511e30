// Virtual time, and who lives in it. Everything that happens in a simulated run is an event here; between two events all promises
// that can go on do go on, and nothing else in the world can make them. So a run is a function of its seed. A process that has
// crashed never gets another event: whatever it was waiting for does not come.

import type { TimerClock } from '../../src/clock.js'
import { mixSeeds, Random } from '../crash/random.js'

/** Something that can crash: a daemon. */
export interface Process {
  readonly name: string
  alive: boolean
}

interface Event {
  readonly atMs: number
  readonly order: number
  readonly process: Process | undefined
  readonly run: () => void
  cancelled: boolean
}

/** A broken invariant: the run is over, and its seed is worth keeping. */
export class Violation extends Error {}

const TRACE_LINES_KEPT = 600
/** Where wall-clock time begins. */
const EPOCH_MS = Date.UTC(2031, 4, 6, 7, 8, 9)

export class Scheduler {
  monotonicMs = 0
  /** Jumps when somebody sets the clock. */
  wallOffsetMs = EPOCH_MS
  readonly trace: string[] = []
  traceHash = 0x811c9dc5
  violation: Violation | undefined
  /** Of the machine on which everything runs. */
  boots = 1
  private queue: Event[] = []
  private orders = 0

  constructor(readonly seed: number) {}

  /** Independent streams of randomness, so that one kind of decision does not shift all others. */
  random(stream: number): Random {
    return new Random(mixSeeds(this.seed, stream))
  }

  wallMs(): number {
    return Math.floor(this.monotonicMs + this.wallOffsetMs)
  }

  /** Of a machine whose clock nobody sets. */
  trueWallMs(): number {
    return Math.floor(this.monotonicMs + EPOCH_MS)
  }

  note(line: string): void {
    const text = `${this.monotonicMs.toFixed(3)} ${line}`
    let hash = this.traceHash
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    this.traceHash = hash >>> 0
    this.trace.push(text)
    if (this.trace.length > 2 * TRACE_LINES_KEPT) this.trace.splice(0, TRACE_LINES_KEPT)
  }

  /** The first violation counts. Does not throw: the code that it is found under would catch it. */
  fail(what: string): void {
    this.note(`VIOLATION ${what}`)
    this.violation ??= new Violation(what)
  }

  after(ms: number, process: Process | undefined, run: () => void): () => void {
    const event = { atMs: this.monotonicMs + Math.max(0, ms), order: this.orders++, process, run, cancelled: false }
    let at = this.queue.length
    while (at > 0 && (this.queue[at - 1] as Event).atMs > event.atMs) at--
    this.queue.splice(at, 0, event)
    return () => {
      event.cancelled = true
    }
  }

  /** Events of a process that still may come. */
  pending(process: Process): number {
    return this.queue.filter((event) => event.process === process && !event.cancelled).length
  }

  /** A little time passes while code runs: what one system call takes. */
  spend(ms: number): void {
    this.monotonicMs += ms
  }

  /** Runs events until `until` says so, a violation is found, or the time is over. False when the time was over. */
  async run(limitMs: number, until: () => boolean): Promise<boolean> {
    const endMs = this.monotonicMs + limitMs
    await settle()
    while (!this.violation) {
      if (until()) return true
      const next = this.queue[0]
      if (!next || next.atMs > endMs) {
        this.monotonicMs = Math.max(this.monotonicMs, endMs)
        return until()
      }
      this.queue.shift()
      if (next.cancelled || next.process?.alive === false) continue
      this.monotonicMs = Math.max(this.monotonicMs, next.atMs)
      next.run()
      if (next.process) await settle()
    }
    throw this.violation
  }

  clockOf(process: Process): TimerClock {
    return {
      now: () => this.wallMs(),
      monotonic: () => this.monotonicMs,
      uptime: () => ({ boot: `boot-${this.boots}`, ms: this.monotonicMs }),
      after: (ms, then) => (ms < 2 ** 31 ? this.after(ms, process, then) : () => {}),
      turn: () => new Promise<void>((resolve) => void this.after(0.005, process, resolve)),
    }
  }
}

/** Every promise that can go on has gone on: what is asked for "at the next tick" comes when there is no microtask left. */
export function settle(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
