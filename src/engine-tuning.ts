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

export function tuneForDaemon(): void {
  if (Number.parseInt(process.versions.v8, 10) === V8_MAJOR) {
    setFlagsFromString(`--interrupt-budget=${OPTIMIZE_AFTER_BYTES}`)
  }
}
