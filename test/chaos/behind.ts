// How far a replica was behind when its daemon was killed: commits that were acknowledged to the application and not in the replica,
// and the age of the oldest of them.

export interface Behind {
  readonly commits: number
  readonly ms: number
}

/** When each state was acknowledged, as far as it may still be asked for. */
export class Acknowledgements {
  private times: number[] = []
  private first = 0
  newest = -1

  heard(n: number, atMs: number): void {
    if (this.newest < 0) this.first = n
    // What the test did not hear by itself (the process was killed before its line was read) was acknowledged no later than now.
    for (let state = Math.max(this.newest + 1, this.first); state <= n; state++) this.times.push(atMs)
    this.newest = n
  }

  /** A replica that holds `state`, at a moment at which `acknowledged` was the newest state. */
  behind(state: number, acknowledged: number, atMs: number): Behind {
    if (state >= acknowledged) return { commits: 0, ms: 0 }
    const oldest = this.times[Math.max(state + 1, this.first) - this.first] ?? atMs
    return { commits: acknowledged - Math.max(state, this.first - 1), ms: Math.max(0, atMs - oldest) }
  }

  /** States up to `state` are not asked for any more. */
  forget(state: number): void {
    const count = Math.min(state - this.first, this.times.length)
    if (count < 1000) return
    this.times = this.times.slice(count)
    this.first += count
  }
}

export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly worst: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), worst: at(1) }
}
