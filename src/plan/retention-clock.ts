// What time it is, for deciding what may be deleted. A wall clock that jumps ahead makes everything look expired, so this one never
// runs ahead of what is proven: it is the wall clock, but a jump forward counts only after it has lasted for as long as the retention.
// By then whatever was promised before the jump has truly passed. A jump backward counts at once: it only keeps more.
//
// Proof of passing time is the monotonic clock of this process. Before the process began there is none; there the newest object of
// the replica stands in (`notBefore`): until the process has run for the retention, time is taken to go on from it. What this costs
// is storage, never promised moments: after a pause things are kept longer, by the length of the pause at most.

/** The wall clock minus the monotonic one, and until when it was seen to be so. */
interface Offset {
  readonly ms: number
  readonly untilMonotonicMs: number
}

/** Smaller differences are the clocks' own drift and resolution. */
const SAME_OFFSET_MS = 1000

export class RetentionClock {
  /** Oldest first, ascending: of the past only a smaller offset matters. */
  private offsets: Offset[] = []

  constructor(private readonly retentionMs: number) {}

  /** Look at both clocks; the more often, the better a jump is told from time that passed. The result is the proven time. */
  look(wallMs: number, monotonicMs: number): number {
    this.add(wallMs - monotonicMs, monotonicMs)
    // An offset was in force until the next one was seen.
    while (this.offsets.length > 1 && (this.offsets[0] as Offset).untilMonotonicMs < monotonicMs - this.retentionMs) {
      this.offsets.shift()
    }
    return Math.min(wallMs, monotonicMs + (this.offsets[0] as Offset).ms)
  }

  /** At `monotonicMs`, it was proven to be `atMs`, and nothing proves that it was later. */
  provenAt(atMs: number, monotonicMs: number): void {
    this.add(atMs - monotonicMs, monotonicMs)
  }

  private add(ms: number, monotonicMs: number): void {
    const last = this.offsets.at(-1)
    if (last && Math.abs(ms - last.ms) < SAME_OFFSET_MS) {
      this.offsets.pop()
      this.push(Math.min(ms, last.ms), Math.max(monotonicMs, last.untilMonotonicMs))
    } else {
      // The offset before this one may have been in force until now.
      if (last) {
        const untilMonotonicMs = Math.max(monotonicMs, last.untilMonotonicMs)
        this.offsets[this.offsets.length - 1] = { ...last, untilMonotonicMs }
      }
      this.push(ms, monotonicMs)
    }
  }

  private push(ms: number, untilMonotonicMs: number): void {
    while ((this.offsets.at(-1)?.ms ?? Number.NEGATIVE_INFINITY) >= ms) this.offsets.pop()
    this.offsets.push({ ms, untilMonotonicMs })
  }
}
