// Who reads a database's WAL at this moment, and so holds it back: a reader on read mark 1-4 forbids a restart of the WAL, and a
// checkpoint to go past its mark; one on mark 0 forbids checkpoints to write. Told from the locks on `-shm`: byte 123 + n is read
// mark n. The kernel lists locks of processes that this one can see; those of other containers are not among them.

import { readFileSync } from 'node:fs'
import { isReadLock, parseLocks } from './proc-locks.js'

const READ_MARK_BYTE = 123
const READ_MARKS = 5

export interface WalReader {
  readonly pid: number
  /** Name of the program, empty when it cannot be told. */
  readonly program: string
  /** This process. */
  readonly ours: boolean
  /** 0-4. */
  readonly mark: number
  /** The last frame that the reader sees; 0 on mark 0. */
  readonly frame: number
}

/** `marks` are the read marks of the wal-index. */
export function findReaders(
  locks: string,
  shmInode: bigint,
  marks: readonly number[],
  ownPid: number,
  nameOf: (pid: number) => string,
): WalReader[] {
  const readers: WalReader[] = []
  for (const lock of parseLocks(locks)) {
    const { pid } = lock
    for (let mark = 0; mark < READ_MARKS; mark++) {
      if (!isReadLock(lock, shmInode, READ_MARK_BYTE + mark)) continue
      readers.push({ pid, program: nameOf(pid), ours: pid === ownPid, mark, frame: marks[mark] ?? 0 })
    }
  }
  return readers
}

/** Empty also where there is no /proc. */
export function walReaders(shmInode: bigint, marks: readonly number[]): WalReader[] {
  try {
    return findReaders(readFileSync('/proc/locks', 'utf8'), shmInode, marks, process.pid, programOf)
  } catch {
    return []
  }
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
