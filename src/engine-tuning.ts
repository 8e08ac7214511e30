// Settings of V8 for a process of our own that runs for months and is idle for most of the time. Not for the library: the process is
// its application's.

import { setFlagsFromString } from 'node:v8'

/**
 * Bytecode that a function runs before it is optimized (67,584 by default). What happens once a second, such as the ways of an upload
 * through the SDK, is else optimized, thrown away and optimized again for minutes: a fifth of the processor time under light load. What
 * is really hot, such as the checksum of a WAL under full load, still gets there within a second. V8 11 is that of Node 20; later
 * ones have a cheaper compiler in between, count calls instead, and complain about this flag.
 */
const OPTIMIZE_AFTER_BYTES = 1_500_000
const V8_MAJOR = 11

let tuned = false

export function tuneForDaemon(): void {
  tuned = true
  if (Number.parseInt(process.versions.v8, 10) === V8_MAJOR) {
    setFlagsFromString(`--interrupt-budget=${OPTIMIZE_AFTER_BYTES}`)
  }
}

let held = 0

/**
 * Until it is released, what is young stays in the memory that it has. V8 doubles that each time that enough of it survived, which happens sooner
 * or later in any long upload, up to 34 MB (Node 20) or 134 MB (Node 24), and gives it back only to a process that is idle. Not
 * at other times: a daemon of 300 idle databases takes 2.0 % of a processor, and 2.6 % with it.
 */
export function holdYoung(): void {
  held++
  keepYoungHeld()
}

export function releaseYoung(): void {
  held--
  if (tuned && held === 0) setYoungGrowth(2)
}

/** A thread that starts sets the factor to V8's 2 again, for all of the process: whoever starts one calls this when it runs. */
export function keepYoungHeld(): void {
  if (tuned && held > 0) setYoungGrowth(1)
}

function setYoungGrowth(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}
