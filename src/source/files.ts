// The one owner of descriptors on a database, its `-wal` and its `-shm`, all read-only. POSIX locks belong to the process: closing
// any descriptor of the database or of `-shm` silently drops every lock that SQLite holds on it for us. So these three are opened
// before the first connection and closed after the last one (see live-database), nobody else opens the files, and one process
// observes a file once, whatever paths lead to it.

import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  openSync,
  read,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'
import type { FileStamp } from '../model/provenance.js'
import { DATABASE_HEADER_BYTES, type DatabaseHeader, parseDatabaseHeader } from '../sqlite/database-header.js'
import { parseReadMarks, WAL_INDEX_BYTES, type WalIndexHeader, WalIndexParser } from '../sqlite/wal-index.js'
import { type Names, namesIn } from './directories.js'
import { mountOf } from './mounts.js'

const identity = (stat: BigIntStats): string => `${stat.dev}:${stat.ino}`

/** Files that this process holds, by dev:ino, with the path that was configured. */
const held = new Map<string, string>()

const statOf = (path: string): BigIntStats | undefined => {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

export const stampOf = ({ ino, size, mtimeNs, ctimeNs }: BigIntStats): FileStamp => ({
  ino: String(ino),
  size: Number(size),
  mtimeNs: String(mtimeNs),
  ctimeNs: String(ctimeNs),
})

/** Whether something is there and has at least one byte. */
const hasBytes = (stat: BigIntStats | undefined): boolean => stat !== undefined && stat.size > 0n

export type Refusal = { readonly missing: boolean; readonly reason: string }

/** What a stand-in may do without: read marks are only for people, the others only for speed. */
type Dispensable = 'readMarks' | 'writeBack' | 'names'

/** What the engines know of the files. */
export type ObservedFiles = Pick<DatabaseFiles, Exclude<keyof DatabaseFiles, Dispensable>> &
  Partial<Pick<DatabaseFiles, Dispensable>>

export class DatabaseFiles {
  private walFd: number | undefined
  private shmFd: number | undefined
  private walIdentity = ''
  private shmIdentity = ''
  private readonly indexBytes = Buffer.alloc(WAL_INDEX_BYTES)
  private readonly indexParser = new WalIndexParser()
  private closed = false
  private readonly reads = new Set<Promise<number>>()
  /** Of `-shm`; 0 before openLive. */
  shmInode = 0n
  shmWritable = false

  private constructor(
    /** The resolved path: SQLite, too, looks for `-wal` beside the file that a symbolic link leads to. */
    readonly path: string,
    private readonly databaseFd: number,
    private readonly databaseIdentity: string,
    private readonly fileSystem: string | undefined,
  ) {}

  get walPath(): string {
    return `${this.path}-wal`
  }

  get shmPath(): string {
    return `${this.path}-shm`
  }

  /** Opens the database file alone. A refusal says why it cannot be observed; it is not an error, it may change. */
  static open(configuredPath: string): DatabaseFiles | Refusal {
    const refuse = (reason: string, missing = false): Refusal => ({ missing, reason })
    let path: string
    try {
      path = realpathSync(configuredPath)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOENT') return refuse('there is no database yet', true)
      return refuse(`cannot reach ${configuredPath}: ${messageOf(error)}`)
    }
    const stat = statOf(path)
    if (!stat) return refuse('there is no database yet', true)
    if (!stat.isFile()) return refuse(`${path} is not a regular file`)
    if (stat.nlink > 1n)
      return refuse(`${path} has ${stat.nlink} hard links; its -wal may lie beside another one. Keep one name`)
    const mount = mountOf(path)
    if (mount?.mountPoint === path) {
      return refuse(
        `${path} is mounted as a single file, which hides its -wal; mount the directory ${dirname(path)} instead`,
      )
    }
    if (mount?.network) {
      return refuse(
        `${path} is on a network file system (${mount.type}), where SQLite's locks cannot be trusted; run where the disk is`,
      )
    }
    const other = held.get(identity(stat))
    if (other !== undefined) return refuse(`${configuredPath} is the same file as ${other}; configure it once`)
    let fd: number
    try {
      fd = openSync(path, constants.O_RDONLY)
    } catch (error) {
      return refuse(`cannot open ${path}: ${messageOf(error)}; let the user of this process read it`)
    }
    const opened = identity(fstatSync(fd, { bigint: true }))
    if (held.has(opened)) {
      // Replaced between the look and the open by a file that we hold under another path: leave its locks alone, leak the number.
      return refuse(`${configuredPath} is the same file as ${held.get(opened)}; configure it once`)
    }
    held.set(opened, configuredPath)
    return new DatabaseFiles(path, fd, opened, mount?.type)
  }

  /** Undefined when the file is too short for a header or is something else; `size` tells them apart. */
  header(): { header: DatabaseHeader | undefined; size: number } {
    const bytes = Buffer.alloc(DATABASE_HEADER_BYTES)
    const length = readSync(this.databaseFd, bytes, 0, DATABASE_HEADER_BYTES, 0)
    return { header: parseDatabaseHeader(bytes.subarray(0, length)), size: this.databaseBytes() }
  }

  databaseBytes(): number {
    return Number(fstatSync(this.databaseFd).size)
  }

  /** Which of the companions are there, without opening any. */
  companions(): { wal: boolean; walBytes: boolean; shm: boolean; journal: boolean } {
    const wal = statOf(this.walPath)
    return {
      wal: wal !== undefined,
      walBytes: hasBytes(wal),
      shm: statOf(this.shmPath) !== undefined,
      journal: hasBytes(statOf(`${this.path}-journal`)),
    }
  }

  /** Identity and times of the file and (for the moment of its last entry) its directory, for a database without a WAL. */
  stamp(): FileStamp & { readonly newestMs: number } {
    const stat = fstatSync(this.databaseFd, { bigint: true })
    const directory = statSync(dirname(this.path), { bigint: true })
    // biome-ignore lint/complexity/useMathMinMax: these are bigints
    const newest = [stat.mtimeNs, stat.ctimeNs, directory.mtimeNs].reduce((a, b) => (a > b ? a : b))
    return { ...stampOf(stat), newestMs: Number(newest / 1_000_000n) }
  }

  /** Opens `-wal` and `-shm`; false when one of them is not there (any more). */
  openLive(): boolean {
    try {
      this.walFd ??= openSync(this.walPath, constants.O_RDONLY)
      this.shmFd ??= openSync(this.shmPath, constants.O_RDONLY)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw new LitestreamError(
        'SOURCE',
        `cannot open the WAL of ${this.path}: ${messageOf(error)}; let the user of this process read it`,
        {
          cause: error,
        },
      )
    }
    const shm = fstatSync(this.shmFd, { bigint: true })
    this.walIdentity = identity(fstatSync(this.walFd, { bigint: true }))
    this.shmIdentity = identity(shm)
    this.shmInode = shm.ino
    try {
      accessSync(this.shmPath, constants.W_OK)
      this.shmWritable = true
    } catch {
      this.shmWritable = false
    }
    return true
  }

  /** What is at the paths now is not what we hold: the name of the first file that was replaced or removed. */
  replaced(): string | undefined {
    const differs = (path: string, expected: string): boolean => {
      const stat = statOf(path)
      return stat === undefined || identity(stat) !== expected
    }
    if (differs(this.path, this.databaseIdentity)) return this.path
    if (this.walFd !== undefined && differs(this.walPath, this.walIdentity)) return this.walPath
    if (this.shmFd !== undefined && differs(this.shmPath, this.shmIdentity)) return this.shmPath
    return undefined
  }

  /** While its key stays the same, and was settled, `replaced` stays as it was. At most 5 ms old; undefined where that cannot be told. */
  names(): Names | undefined {
    return namesIn(dirname(this.path), this.fileSystem)
  }

  /** The wal-index header, the same object while it stays the same; undefined while it is torn for longer than a writer needs, or not initialised. */
  walIndex(): WalIndexHeader | undefined {
    for (let attempt = 0; attempt < 20; attempt++) {
      readSync(this.shmFd as number, this.indexBytes, 0, WAL_INDEX_BYTES, 0)
      const header = this.indexParser.parse(this.indexBytes)
      if (header) return header
    }
    return undefined
  }

  readMarks(): number[] {
    readSync(this.shmFd as number, this.indexBytes, 0, WAL_INDEX_BYTES, 0)
    return parseReadMarks(this.indexBytes)
  }

  /** Bytes of the WAL from `position`; fewer at its end. */
  readWal(into: Uint8Array, length: number, position: number): number {
    let done = 0
    while (done < length) {
      const bytes = readSync(this.walFd as number, into, done, length - done, position + done)
      if (bytes === 0) break
      done += bytes
    }
    return done
  }

  /** Bytes of the database file from `position`, off the main thread; fewer at its end. */
  async readDatabase(into: Uint8Array, length: number, position: number): Promise<number> {
    let done = 0
    while (done < length) {
      if (this.closed) throw new LitestreamError('SOURCE', `${this.path} was let go while it was read`)
      const reading = new Promise<number>((resolve, reject) => {
        const settle = (error: Error | null, count: number) => (error ? reject(error) : resolve(count))
        read(this.databaseFd, into, done, length - done, position + done, settle)
      })
      this.reads.add(reading)
      const bytes = await reading.finally(() => this.reads.delete(reading))
      if (bytes === 0) break
      done += bytes
    }
    return done
  }

  /**
   * Has the system write to the disk what the application has written to the file so far; its content stays as it is. Off the main
   * thread. Resolves in any case: whoever depends on it syncs by himself, and a descriptor that was closed meanwhile harms nobody.
   */
  writeBack(file: 'database' | 'wal'): Promise<void> {
    const fd = file === 'wal' ? this.walFd : this.databaseFd
    return new Promise((resolve) => {
      if (fd === undefined || this.closed) resolve()
      else fdatasync(fd, () => resolve())
    })
  }

  /** Gives `-wal` and `-shm` back, only after every connection to the database is closed. */
  closeLive(): void {
    for (const fd of [this.walFd, this.shmFd]) if (fd !== undefined) closeSync(fd)
    this.walFd = undefined
    this.shmFd = undefined
  }

  /** Only after every connection to the database is closed. Waits for reads under way: their descriptor must stay theirs. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await Promise.allSettled(this.reads)
    this.closeLive()
    closeSync(this.databaseFd)
    held.delete(this.databaseIdentity)
  }
}
