// What the kernel says of file locks, in /proc/locks and in a descriptor's /proc/self/fdinfo/<fd>; see proc(5). It lists only locks
// of processes that this one can see.
//
//   [lock:\t]<n>: [-> ]POSIX ADVISORY READ <pid> <major>:<minor>:<inode> <first byte> <last byte>     device numbers in hex

export interface FileLock {
  /** `POSIX`, `FLOCK`, `OFDLCK`, `LEASE`. */
  readonly kind: string
  /** `READ` or `WRITE`; leases have others. */
  readonly mode: string
  /** Somebody waits for it, nobody has it. */
  readonly waiting: boolean
  /** 0 and -1 stand for nobody in particular. */
  readonly pid: number
  readonly major: number
  readonly minor: number
  readonly inode: bigint
  readonly first: number
  /** Infinite: to the end of the file, wherever that is. */
  readonly last: number
}

const LOCK = /^(?:lock:\s*)?\d+: (-> )?(\S+)\s+\S+\s+(\S+)\s+(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)\s*$/

/** Lines that tell of no lock are passed over. */
export function parseLocks(text: string): FileLock[] {
  const locks: FileLock[] = []
  for (const line of text.split('\n')) {
    const match = LOCK.exec(line)
    if (!match) continue
    const [, arrow, kind, mode, pid, major, minor, inode, first, last] = match as unknown as string[]
    locks.push({
      kind: kind as string,
      mode: mode as string,
      waiting: arrow !== undefined,
      pid: Number(pid),
      major: Number.parseInt(major as string, 16),
      minor: Number.parseInt(minor as string, 16),
      inode: BigInt(inode as string),
      first: Number(first),
      last: last === 'EOF' ? Number.POSITIVE_INFINITY : Number(last),
    })
  }
  return locks
}

/** A shared POSIX lock of this file that covers the byte, and that somebody has. */
export function isReadLock({ kind, mode, waiting, inode, first, last }: FileLock, file: bigint, byte: number): boolean {
  return kind === 'POSIX' && mode === 'READ' && !waiting && inode === file && first <= byte && last >= byte
}
