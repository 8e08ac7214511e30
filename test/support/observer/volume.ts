// What is on a volume, down to owners, times and contents, so that "nothing was touched" can be said of it.

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface VolumeEntry {
  readonly ino: string
  readonly links: string
  readonly mode: string
  readonly owner: string
  readonly size: string
  readonly mtimeNs: string
  readonly sha256: string
}

/**
 * Every entry below `directory` and itself. To be called by a process that holds no SQLite lock on these files. With
 * `exceptSharedMemory` a `-shm` is listed without its content and time: read marks lie in it.
 */
export function listVolume(directory: string, exceptSharedMemory = false): Record<string, VolumeEntry> {
  const listing: Record<string, VolumeEntry> = {}
  for (const name of ['.', ...(readdirSync(directory, { recursive: true }) as string[])].sort()) {
    const path = join(directory, name)
    const stat = lstatSync(path, { bigint: true })
    const except = exceptSharedMemory && name.endsWith('-shm')
    listing[name] = {
      ino: String(stat.ino),
      links: String(stat.nlink),
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      size: String(stat.size),
      mtimeNs: except ? 'any' : String(stat.mtimeNs),
      sha256: except || !stat.isFile() ? 'any' : createHash('sha256').update(readFileSync(path)).digest('hex'),
    }
  }
  return listing
}

/** Lines of /proc/locks that say that `pid` holds a lock on the file with this inode number, without their running number. */
export function locksOf(pid: number, ino: bigint): string[] {
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).slice(1))
    .filter((words) => words[3] === String(pid) && words[4]?.split(':')[2] === String(ino))
    .map((words) => words.join(' '))
    .sort()
}
