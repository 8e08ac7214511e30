// Where the store keeps its data: in memory where there is room. A store is somewhere else in real life, and its writes would compete
// with the application's for the one disk of this machine, to the advantage of whoever sends less. BENCH_STORE=disk for databases of
// 10 GB and more.

import { existsSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'

const MEMORY = '/dev/shm'
/** More than any bench sends. */
const ROOM_BYTES = 8 * 2 ** 30

/** The directory for it. */
export function storePlace(): { readonly directory: string; readonly kind: 'memory' | 'disk' } {
  if (process.env.BENCH_STORE !== 'disk' && existsSync(MEMORY)) {
    const { bavail, bsize } = statfsSync(MEMORY)
    if (bavail * bsize >= ROOM_BYTES) return { directory: MEMORY, kind: 'memory' }
  }
  return { directory: tmpdir(), kind: 'disk' }
}
