// Whether a database is, at this moment, in the very state that an object of a replica stands for. Only looks, without SQLite, and only
// for processes that hold no connection to the database: closing a descriptor of `-shm` drops the process's locks (see files).

import { statSync } from 'node:fs'
import { type Provenance, sameStamp } from '../model/provenance.js'
import { parseWalIndex, sameCycle, WAL_INDEX_BYTES } from '../sqlite/wal-index.js'
import { stampOf } from './files.js'
import { readBeginning } from './readable.js'

/** False also when that cannot be told. */
export function standsAt(path: string, { source }: Provenance): boolean {
  try {
    if ('stamp' in source) {
      const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })
      return sameStamp(stampOf(statSync(path, { bigint: true })), source.stamp) && !wal?.size
    }
    const header = parseWalIndex(readBeginning(`${path}-shm`, WAL_INDEX_BYTES))
    const { cursor } = source
    if (!header || !sameCycle(header, cursor) || header.mxFrame !== cursor.frames) return false
    return cursor.frames === 0 || (header.checksum1 === cursor.checksum1 && header.checksum2 === cursor.checksum2)
  } catch {
    return false
  }
}
