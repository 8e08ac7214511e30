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
    const bytes = Buffer.alloc(DATABASE_HEADER_BYTES)
    const descriptor = openSync(path, constants.O_RDONLY)
    let length: number
    try {
      length = readSync(descriptor, bytes, 0, bytes.length, 0)
    } finally {
      closeSync(descriptor)
    }
    if (!parseDatabaseHeader(bytes.subarray(0, length))) return 'it is not a SQLite database'
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
