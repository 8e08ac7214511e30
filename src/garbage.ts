// Memory that libraries allocate outside of the JavaScript heap is given back only when the garbage collector finds that nobody uses it
// any more, and it lets tens of megabytes of that gather before it looks. Whoever makes such garbage at a steady rate says so here: a
// collection of what is young takes a millisecond and keeps a process as small as the work needs.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { readonly type: 'minor' | 'major' }) => void

const COLLECT_AFTER_BYTES = 2 << 20

/** A collection after every large piece is worse than none: what is in use then grows old, and only a collection of everything frees it. */
const COLLECT_AFTER_PIECES = 8

let collect: Collect | undefined
let bytesSince = 0

/** A piece of `bytes` outside of the heap was allocated, and will soon not be used any more. `mayGather`: eight of its size may. */
export function madeGarbage(bytes: number, mayGather = false): void {
  bytesSince += bytes
  if (bytesSince < Math.max(COLLECT_AFTER_BYTES, mayGather ? COLLECT_AFTER_PIECES * bytes : 0)) return
  bytesSince = 0
  collect ??= findCollector()
  collect({ type: 'minor' })
}

/** Everything that nobody uses, at once: some 10 to 20 ms. See memory-watch. */
export function collectAll(): void {
  collect ??= findCollector()
  collect({ type: 'major' })
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
