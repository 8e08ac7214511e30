// Whether a database is, at this moment, in the very state that an object of a replica stands for. Only looks, without SQLite, and only
// for processes that hold no connection to the database: closing a descriptor of `-shm` drops the process's locks (see files).

import { closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import type { Provenance } from '../model/provenance.js'
import { parseWalIndex, sameCycle, WAL_INDEX_BYTES } from '../sqlite/wal-index.js'

/** False also when that cannot be told. */
export function standsAt(path: string, { source }: Provenance): boolean {
  try {
    if ('stamp' in source) {
      const { stamp } = source
      const stat = statSync(path, { bigint: true })
      const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })
      const same = String(stat.mtimeNs) === stamp.mtimeNs && String(stat.ctimeNs) === stamp.ctimeNs
      return same && Number(stat.size) === stamp.size && String(stat.ino) === stamp.ino && !wal?.size
    }
    const bytes = Buffer.alloc(WAL_INDEX_BYTES)
    const descriptor = openSync(`${path}-shm`, constants.O_RDONLY)
    try {
      readSync(descriptor, bytes, 0, bytes.length, 0)
    } finally {
      closeSync(descriptor)
    }
    const header = parseWalIndex(bytes)
    const { cursor } = source
    if (!header || !sameCycle(header, cursor) || header.mxFrame !== cursor.frames) return false
    return cursor.frames === 0 || (header.checksum1 === cursor.checksum1 && header.checksum2 === cursor.checksum2)
  } catch {
    return false
  }
}
