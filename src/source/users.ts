// Who uses a database's files, as far as /proc tells: processes that have one of them open, and those that hold a POSIX lock on
// one. Only looks; opens none of the files. A process of another user, or of another container, is often not to be seen: an
// empty answer proves nothing (restore/in-use asks the locks themselves as well).

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { parseLocks } from './proc-locks.js'

export interface FileUser {
  readonly pid: number
  /** The command line, or the program's name; cut to a readable length. Empty when it cannot be read. */
  readonly command: string
}

/** The files that make up a database, the database first. */
export const companionsOf = (path: string): string[] => ['-wal', '-shm', '-journal'].map((suffix) => `${path}${suffix}`)

const COMMAND_LENGTH_MAX = 80

/** Processes other than this one that use `path` or what lies beside it. `path` must be resolved (no symbolic link). */
export function findUsers(path: string, selfPid: number): FileUser[] {
  const identities = new Set([path, ...companionsOf(path)].map(identityOf).filter((one) => one !== undefined))
  if (identities.size === 0) return []
  const pids = new Set([...lockHolders(readText('/proc/locks'), identities), ...openers(identities)])
  pids.delete(selfPid)
  return [...pids].sort((a, b) => a - b).map((pid) => ({ pid, command: commandOf(pid) }))
}

/** `23 (puma: cluster worker), 42 (…)`, for a message. */
export function nameUsers(users: readonly FileUser[]): string {
  return users.map(({ pid, command }) => `process ${pid}${command === '' ? '' : ` (${command})`}`).join(', ')
}

/** The processes that hold a lock on one of the files (`major:minor:inode`, decimal). 0 and -1 stand for nobody in particular. */
export function lockHolders(locks: string, identities: ReadonlySet<string>): number[] {
  const ours = parseLocks(locks).filter(({ major, minor, inode }) => identities.has(`${major}:${minor}:${inode}`))
  return ours.map(({ pid }) => pid).filter((pid) => pid > 0)
}

function openers(identities: ReadonlySet<string>): number[] {
  const pids: number[] = []
  for (const entry of list('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const directory = `/proc/${entry}/fd`
    if (list(directory).some((fd) => identities.has(identityOf(`${directory}/${fd}`) ?? ''))) pids.push(Number(entry))
  }
  return pids
}

function commandOf(pid: number): string {
  const words = readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
  return (words || readText(`/proc/${pid}/comm`).trim()).slice(0, COMMAND_LENGTH_MAX)
}

/** `major:minor:inode` of what the path leads to. The numbers are taken apart as glibc's gnu_dev_major and gnu_dev_minor do. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)
    const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)
    return `${major}:${minor}:${ino}`
  } catch {
    return undefined
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
