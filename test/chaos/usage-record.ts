// Memory and descriptors of a process that comes and goes, once a second: a CSV file for a soak, and the largest values.

import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

interface Usage {
  readonly seconds: number
  readonly rssBytes: number
  readonly descriptors: number
}

export class UsageRecord {
  private readonly startMs = performance.now()
  private readonly timer: NodeJS.Timeout
  private readonly seen: Usage[] = []

  constructor(
    private readonly pidOf: () => number | undefined,
    private readonly csvPath: string | undefined,
  ) {
    if (csvPath) writeFileSync(csvPath, 'seconds,pid,rss_bytes,descriptors\n')
    this.timer = setInterval(() => this.sample(), 1000)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** All of them so far, in order. */
  get samples(): readonly Usage[] {
    return this.seen
  }

  /** The largest values, and the means of the first and last tenths of the samples: they tell whether something grows. */
  summary() {
    const tenth = Math.max(1, Math.floor(this.seen.length / 10))
    const meanOf = (part: readonly Usage[], of: (usage: Usage) => number): number =>
      Math.round(part.reduce((sum, usage) => sum + of(usage), 0) / Math.max(1, part.length))
    const about = (of: (usage: Usage) => number) => ({
      first: meanOf(this.seen.slice(0, tenth), of),
      last: meanOf(this.seen.slice(-tenth), of),
      largest: this.seen.reduce((most, usage) => Math.max(most, of(usage)), 0),
    })
    return {
      samples: this.seen.length,
      rssBytes: about(({ rssBytes }) => rssBytes),
      descriptors: about(({ descriptors }) => descriptors),
    }
  }

  private sample(): void {
    const pid = this.pidOf()
    const seconds = Math.round((performance.now() - this.startMs) / 1000)
    const usage = pid === undefined ? undefined : usageOf(pid, seconds)
    if (!usage) return
    this.seen.push(usage)
    if (this.csvPath) appendFileSync(this.csvPath, `${seconds},${pid},${usage.rssBytes},${usage.descriptors}\n`)
  }
}

/** Undefined for a process that has ended. */
function usageOf(pid: number, seconds: number): Usage | undefined {
  try {
    const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
    const descriptors = readdirSync(`/proc/${pid}/fd`).length
    return rss ? { seconds, rssBytes: Number(rss[1]) * 1024, descriptors } : undefined
  } catch {
    return undefined
  }
}
