// What a process has used so far, from /proc.

import { readFileSync } from 'node:fs'

/** Linux counts processor time for user space in hundredths of a second on every platform that we run on. */
const TICKS_PER_SECOND = 100

export interface Usage {
  /** User and system time of all threads, and of children that have ended. */
  readonly cpuSeconds: number
  /** The largest resident set so far (VmHWM). */
  readonly peakMemoryBytes: number
  /** The resident set now (VmRSS). */
  readonly residentBytes: number
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may hold anything; the fields behind it begin with the state, field 3 of proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const [peak, resident] = ['VmHWM', 'VmRSS'].map((name) =>
    new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.at(1),
  )
  if (!peak || !resident) throw new Error(`process ${pid} has ended`)
  return {
    cpuSeconds: ticks / TICKS_PER_SECOND,
    peakMemoryBytes: Number(peak) * 1024,
    residentBytes: Number(resident) * 1024,
  }
}
