// Whether a database's files can be read by this process, without SQLite and without staying. Only for processes that hold no
// connection to the database: closing a descriptor drops the process's locks (see files).

import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { messageOf } from '../errors.js'
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from '../sqlite/database-header.js'

/** Why it cannot be read, or undefined. */
export function unreadable(path: string): string | undefined {
  try {
    const stat = statSync(path)
    if (!stat.isFile()) return 'it is not a regular file'
    if (stat.size === 0) return 'it is empty'
    if (!parseDatabaseHeader(readBeginning(path, DATABASE_HEADER_BYTES))) return 'it is not a SQLite database'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : messageOf(error)
  }
  for (const companion of [`${path}-wal`, `${path}-shm`]) {
    try {
      accessSync(companion, constants.R_OK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return messageOf(error)
    }
  }
  return undefined
}

/** Up to `length` bytes. */
export function readBeginning(path: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const descriptor = openSync(path, constants.O_RDONLY)
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, 0))
  } finally {
    closeSync(descriptor)
  }
}
