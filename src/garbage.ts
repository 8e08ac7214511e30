// Memory that libraries allocate outside of the JavaScript heap is given back only when the garbage collector finds that nobody uses it
// any more, and it lets tens of megabytes of that gather before it looks. Whoever makes such garbage at a steady rate says so here: a
// collection of what is young takes a millisecond and keeps a process as small as the work needs.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options?: { readonly type: 'minor' }) => void

const COLLECT_AFTER_BYTES = 2 << 20

/**
 * A collection after every large piece is worse than none: what is in use then grows old, and only a collection of everything frees it.
 * So is a rare one: V8 begins a collection of everything by itself when memory outside of the heap has grown by 64 MiB, and with what
 * arrives from the network that is reached before 32 MiB of pieces are. Measured for a gigabyte in pieces of 4 MiB: 4 collections of
 * everything with two pieces at a time, 42 to 73 with three, four, five or eight; with one, more processor time than with eight.
 */
const COLLECT_AFTER_PIECES = 8
const GATHERED_BYTES_MAX = 8 << 20

let collect: Collect | undefined
let bytesSince = 0

/** A piece of `bytes` outside of the heap was allocated, and will soon not be used any more. `mayGather`: eight of its size may, up to 8 MiB. */
export function madeGarbage(bytes: number, mayGather = false): void {
  bytesSince += bytes
  const mayGatherBytes = mayGather ? Math.min(COLLECT_AFTER_PIECES * bytes, GATHERED_BYTES_MAX) : 0
  if (bytesSince < Math.max(COLLECT_AFTER_BYTES, mayGatherBytes)) return
  bytesSince = 0
  collect ??= findCollector()
  collect({ type: 'minor' })
}

/**
 * Everything that nobody uses, at once: 10 ms, or 30 ms with hundreds of databases. See memory-watch. Without options on purpose: a
 * collection of type `major` leaves what is held only by what is about to be finalized, which is most of what libraries allocate.
 */
export function collectAll(): void {
  collect ??= findCollector()
  collect()
}

/** V8 has the function in every process, and shows it to contexts that are made after it was asked to. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc')
  try {
    return runInNewContext('gc') as Collect
  } finally {
    setFlagsFromString('--no-expose-gc')
  }
}
