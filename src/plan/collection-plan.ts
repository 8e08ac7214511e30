// When a process collects all of its garbage, seen by its resident memory. What libraries allocate outside of the JavaScript heap is given
// back only by a collection of everything, and the engine, which does not count it, may wait for most of an hour with that. Collections
// come in pairs: the first one empties the heap, the second gives the system what was emptied (with 300 databases 15 MB, then 20).

/** Less is not worth the pause of some 10 to 20 ms, in which nothing follows the WAL. */
const GROWTH_BYTES = 24 << 20
const APART_MS = 30_000

export interface MemoryReading {
  readonly residentBytes: number
  readonly atMs: number
}

/** Since the last collection. */
export interface SinceCollection {
  readonly collectedAtMs: number
  /** It was the second of its pair. */
  readonly repeated: boolean
  /** The smallest reading: memory goes back to the system some time after a collection. */
  readonly floorBytes: number
}

/** `since` is undefined before the first collection, which is for what starting has left behind. Asked every 10 s. */
export function collectNow({ residentBytes, atMs }: MemoryReading, since: SinceCollection | undefined): boolean {
  if (!since?.repeated) return true
  return atMs - since.collectedAtMs >= APART_MS && residentBytes - since.floorBytes >= GROWTH_BYTES
}
