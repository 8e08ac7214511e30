// The files of a model database as a kernel would show them, and the locks on them. No behaviour of SQLite is here (see sqlite).

import { WAL_INDEX_BYTES, WAL_INDEX_VERSION } from '../../src/sqlite/wal-index.js'
import type { Scheduler } from './scheduler.js'

export const PAGE_BYTES = 512
export const FRAME_BYTES = PAGE_BYTES + 24
export const WAL_HEADER = 32

/** What holds locks: a connection. */
export type Holder = object

export class Lock {
  private readonly sharers = new Set<Holder>()
  private owner: Holder | undefined

  tryShared(holder: Holder): boolean {
    if (this.owner !== undefined && this.owner !== holder) return false
    this.sharers.add(holder)
    return true
  }

  tryExclusive(holder: Holder): boolean {
    if (this.owner !== undefined) return this.owner === holder
    for (const sharer of this.sharers) if (sharer !== holder) return false
    this.owner = holder
    return true
  }

  unlock(holder: Holder): void {
    this.sharers.delete(holder)
    if (this.owner === holder) this.owner = undefined
  }

  get free(): boolean {
    return this.owner === undefined
  }

  heldBy(holder: Holder): boolean {
    return this.owner === holder || this.sharers.has(holder)
  }
}

export interface DatabaseFile {
  readonly inode: number
  pages: Buffer[]
  mtimeNs: bigint
  /** Every open connection shares it; the last one that closes holds it alone until the WAL is gone. */
  readonly lock: Lock
}

export class WalFile {
  bytes: Buffer = Buffer.alloc(64 * FRAME_BYTES + WAL_HEADER)
  length = 0
  /** What a loss of power leaves for certain. */
  syncedLength = 0

  constructor(readonly inode: number) {}

  write(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.bytes.length) {
      const larger = Buffer.alloc(2 * (at + bytes.length))
      this.bytes.copy(larger)
      this.bytes = larger
    }
    this.bytes.set(bytes, at)
    this.length = Math.max(this.length, at + bytes.length)
  }

  truncate(length: number): void {
    this.bytes.fill(0, length, this.length)
    this.length = length
    this.syncedLength = Math.min(this.syncedLength, length)
  }
}

export interface IndexHeader {
  readonly iChange: number
  readonly mxFrame: number
  readonly pageCount: number
  readonly checksum1: number
  readonly checksum2: number
  readonly salt1: number
  readonly salt2: number
}

export const NOT_USED = 0xffffffff

export class ShmFile {
  readonly bytes = Buffer.alloc(WAL_INDEX_BYTES)
  readonly write = new Lock()
  readonly checkpoint = new Lock()
  readonly read = Array.from({ length: 5 }, () => new Lock())
  marks = [0, NOT_USED, NOT_USED, NOT_USED, NOT_USED]
  readonly deadManSwitch = new Set<Holder>()
  private readonly copies: (IndexHeader | undefined)[] = [undefined, undefined]

  constructor(readonly inode: number) {}

  /** Both copies, when they agree. */
  get header(): IndexHeader | undefined {
    return this.copies[0] === this.copies[1] ? this.copies[0] : undefined
  }

  /** As SQLite itself sometimes looks at it: without the other copy. */
  get lastFrame(): number {
    return this.copies[0]?.mxFrame ?? 0
  }

  get backfilled(): number {
    return this.bytes.readUInt32LE(96)
  }

  set backfilled(frames: number) {
    this.bytes.writeUInt32LE(frames, 96)
  }

  set attempted(frames: number) {
    this.bytes.writeUInt32LE(frames, 128)
  }

  /** SQLite writes copy 1 before copy 0. */
  writeCopy(copy: 0 | 1, header: IndexHeader): void {
    this.copies[copy] = header
    const { bytes } = this
    const at = copy * 48
    bytes.writeUInt32LE(WAL_INDEX_VERSION, at)
    bytes.writeUInt32LE(header.iChange, at + 8)
    bytes[at + 12] = 1
    bytes[at + 13] = 0
    bytes.writeUInt16LE(PAGE_BYTES, at + 14)
    bytes.writeUInt32LE(header.mxFrame, at + 16)
    bytes.writeUInt32LE(header.pageCount, at + 20)
    bytes.writeUInt32LE(header.checksum1, at + 24)
    bytes.writeUInt32LE(header.checksum2, at + 28)
    bytes.writeUInt32BE(header.salt1, at + 32)
    bytes.writeUInt32BE(header.salt2, at + 36)
    let s1 = 0
    let s2 = 0
    for (let word = at; word < at + 40; word += 8) {
      s1 = (s1 + bytes.readInt32LE(word) + s2) | 0
      s2 = (s2 + bytes.readInt32LE(word + 4) + s1) | 0
    }
    bytes.writeInt32LE(s1, at + 40)
    bytes.writeInt32LE(s2, at + 44)
  }

  /** What the first opener does. */
  wipe(): void {
    this.bytes.fill(0)
    this.copies.fill(undefined)
  }

  release(holder: Holder): void {
    for (const lock of [this.write, this.checkpoint, ...this.read]) lock.unlock(holder)
    this.deadManSwitch.delete(holder)
  }
}

/** One directory with one database in it. */
export class Disk {
  database: DatabaseFile | undefined
  wal: WalFile | undefined
  shm: ShmFile | undefined
  directoryMtimeNs: bigint
  private inodes = 100
  /** Told of every change that a watch would notice. */
  onChange: () => void = () => {}

  constructor(
    private readonly scheduler: Scheduler,
    /** File times come in steps of the kernel's ticks. */
    private readonly tickMs: number,
  ) {
    this.directoryMtimeNs = this.timeNs()
  }

  private timeNs(): bigint {
    return BigInt(Math.floor(this.scheduler.wallMs() / this.tickMs) * this.tickMs) * 1_000_000n
  }

  private entryChanged(): void {
    this.directoryMtimeNs = this.timeNs()
    this.onChange()
  }

  placeDatabase(pages: Buffer[]): DatabaseFile {
    this.database = { inode: this.inodes++, pages, mtimeNs: this.timeNs(), lock: new Lock() }
    this.entryChanged()
    return this.database
  }

  touch(file: DatabaseFile): void {
    file.mtimeNs = this.timeNs()
    this.onChange()
  }

  createWal(): WalFile {
    this.wal = new WalFile(this.inodes++)
    this.entryChanged()
    return this.wal
  }

  createShm(): ShmFile {
    this.shm = new ShmFile(this.inodes++)
    this.entryChanged()
    return this.shm
  }

  deleteWal(): void {
    this.wal = undefined
    this.entryChanged()
  }

  deleteShm(): void {
    this.shm = undefined
    this.entryChanged()
  }
}

export const stampKey = (file: DatabaseFile): string =>
  `${file.inode}:${file.pages.length * PAGE_BYTES}:${file.mtimeNs}`

const ZEROS = Buffer.alloc(PAGE_BYTES)

export function putPage(pages: Buffer[], page: number, image: Buffer): void {
  while (pages.length < page - 1) pages.push(ZEROS)
  pages[page - 1] = image
}

/** Of the frame that begins at `at`. */
export function pageOf(wal: Buffer, at: number): Buffer {
  return Buffer.from(wal.subarray(at + 24, at + FRAME_BYTES))
}
