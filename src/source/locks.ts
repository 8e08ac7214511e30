// Asks the kernel whether this process holds SQLite's dead-man-switch lock on a `-shm` file: byte 128, taken shared by every
// connection that uses the file as its wal-index. As long as we hold it nobody can be the "first opener", so nobody runs recovery,
// and the wal-index's change counter is never reset behind our back. On a read-only mount with no application alive SQLite takes
// no such lock (it keeps a private wal-index instead); then we are not attached.
//
// /proc/locks: `<n>: POSIX ADVISORY READ <pid> <major>:<minor>:<inode> <first byte> <last byte>`; see proc(5).

import { readFileSync } from 'node:fs'

const DEAD_MAN_SWITCH_BYTE = 128

/** `locks` is the text of /proc/locks, which lists a lock of another process namespace not at all. */
export function holdsDeadManSwitch(locks: string, pid: number, inode: bigint): boolean {
  for (const line of locks.split('\n')) {
    const [, kind, , mode, owner, file, first, last] = line.split(/\s+/)
    if (kind !== 'POSIX' || mode !== 'READ' || owner !== String(pid)) continue
    if (file?.split(':')[2] !== String(inode)) continue
    const end = last === 'EOF' ? Number.POSITIVE_INFINITY : Number(last)
    if (Number(first) <= DEAD_MAN_SWITCH_BYTE && end >= DEAD_MAN_SWITCH_BYTE) return true
  }
  return false
}

/** False also where there is no /proc: then nothing can be proved across a restart of the WAL. */
export function weHoldDeadManSwitch(shmInode: bigint): boolean {
  try {
    return holdsDeadManSwitch(readFileSync('/proc/locks', 'utf8'), process.pid, shmInode)
  } catch {
    return false
  }
}
