// Asks the kernel whether this process holds SQLite's dead-man-switch lock on a `-shm` file: byte 128, taken shared by every
// connection that uses the file as its wal-index. As long as we hold it nobody can be the "first opener", so nobody runs recovery,
// and the wal-index's change counter is never reset behind our back. On a read-only mount with no application alive SQLite takes
// no such lock (it keeps a private wal-index instead); then we are not attached.
//
// Read from /proc/self/fdinfo/<fd>, of the descriptor through which SQLite took it. /proc/locks says the same, but makes the kernel
// wait for all of its processors: 5 to 15 ms at each crossing, in which nothing else of ours runs.

import { readdirSync, readFileSync } from 'node:fs'
import { isReadLock, parseLocks } from './proc-locks.js'

const DEAD_MAN_SWITCH_BYTE = 128
const DESCRIPTORS = '/proc/self/fdinfo'

/** By inode of `-shm`: the descriptor that was found to hold the lock. SQLite keeps it open for as long as any connection lives. */
const heldThrough = new Map<bigint, string>()

/** `fdinfo` is the text of one descriptor's file there. */
export function holdsDeadManSwitch(fdinfo: string, pid: number, inode: bigint): boolean {
  return parseLocks(fdinfo).some((lock) => lock.pid === pid && isReadLock(lock, inode, DEAD_MAN_SWITCH_BYTE))
}

/** False also where there is no /proc: then nothing can be proved across a restart of the WAL. */
export function weHoldDeadManSwitch(shmInode: bigint): boolean {
  const known = heldThrough.get(shmInode)
  if (known !== undefined && holdsNow(known, shmInode)) return true
  const found = nextOnes().find((fd) => holdsNow(fd, shmInode)) ?? descriptors().find((fd) => holdsNow(fd, shmInode))
  if (found !== undefined) newest = Number(found)
  if (found === undefined) heldThrough.delete(shmInode)
  else heldThrough.set(shmInode, found)
  return found !== undefined
}

function holdsNow(fd: string, shmInode: bigint): boolean {
  try {
    return holdsDeadManSwitch(readFileSync(`${DESCRIPTORS}/${fd}`, 'utf8'), process.pid, shmInode)
  } catch {
    return false
  }
}

/** Who opens hundreds of databases one after the other must not have all descriptors listed for each. */
let newest = 0
const NEXT_ONES = 32

function nextOnes(): string[] {
  return Array.from({ length: NEXT_ONES }, (_, i) => String(newest + 1 + i))
}

/** The newest ones first: whoever asks has just opened the database. */
function descriptors(): string[] {
  try {
    return readdirSync(DESCRIPTORS).sort((a, b) => Number(b) - Number(a))
  } catch {
    return []
  }
}
