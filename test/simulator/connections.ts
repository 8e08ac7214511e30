// Connections to the model database by the rules of SQLite's wal.c: who may open it, read marks, recovery, restarts of the WAL, and the
// locks of each. What is written and checkpointed is in sqlite.ts.
//
// Written from SQLite's documentation and source, not from this program's: where the two disagree the simulator finds out.

import { parseWalHeader } from '../../src/sqlite/wal-format.js'
import { WalScanner } from '../../src/sqlite/wal-scan.js'
import type { Random } from '../crash/random.js'
import {
  type DatabaseFile,
  type Disk,
  FRAME_BYTES,
  type IndexHeader,
  NOT_USED,
  PAGE_BYTES,
  pageOf,
  putPage,
  type ShmFile,
  WAL_HEADER,
  type WalFile,
} from './disk.js'
import type { Ledger } from './ledger.js'
import type { Scheduler } from './scheduler.js'

/**
 * `wait`: somebody else holds a lock. `torn`: between the two copies of the wal-index's header. `fragile`: between stores of which
 * SQLite needs all; it would not get over the death of one of several processes there, nor would anybody else.
 */
export type Step = 'step' | 'wait' | 'torn' | 'fragile'
export type Operation<T = void> = Generator<Step, T>

export interface Connection {
  readonly name: string
  readonly file: DatabaseFile
  /** Its own descriptors: what is put at the paths later is not what it works with. */
  readonly wal: WalFile
  readonly shm: ShmFile
  readonly readonlyShm: boolean
  /** Read mark that is held. */
  slot: number | undefined
  /** Checkpoints that it knows of; 0 makes it draw new salts. */
  checkpoints: number
}

export class Connections {
  constructor(
    protected readonly disk: Disk,
    protected readonly ledger: Ledger,
    protected readonly scheduler: Scheduler,
    protected readonly random: Random,
  ) {}

  protected u32(): number {
    return Math.floor(this.random.next() * 2 ** 32)
  }

  /** Or what SQLite would answer, at the latest when it reads: it may not create what is not there, or somebody is closing. */
  open(name: string, readonlyShm: boolean, mayCreate: boolean): Connection | 'SQLITE_CANTOPEN' | 'SQLITE_BUSY' {
    const { disk } = this
    const file = disk.database
    if (!file || (!mayCreate && !(disk.wal && disk.shm))) return 'SQLITE_CANTOPEN'
    if (!file.lock.free) return 'SQLITE_BUSY'
    const wal = disk.wal ?? disk.createWal()
    const shm = disk.shm ?? disk.createShm()
    const connection = { name, file, wal, shm, readonlyShm, slot: undefined, checkpoints: 0 }
    file.lock.tryShared(connection)
    this.takeSwitch(connection)
    return connection
  }

  /** The dead man's switch. Without it a reader of a read-only wal-index works on a copy of its own. */
  private takeSwitch(connection: Connection): boolean {
    const { shm, readonlyShm } = connection
    if (shm.deadManSwitch.has(connection)) return true
    if (shm.deadManSwitch.size === 0) {
      if (readonlyShm) return false
      shm.wipe()
    }
    shm.deadManSwitch.add(connection)
    return true
  }

  /** Locks go; nothing else happens. What a crash does, too. */
  drop(connection: Connection): void {
    connection.shm.release(connection)
    connection.file.lock.unlock(connection)
  }

  /** True, or what SQLite would answer. */
  beginRead(connection: Connection, useWal = false): true | string {
    const { shm, readonlyShm } = connection
    if (!this.takeSwitch(connection)) return true
    let header = shm.header
    if (!header) {
      if (readonlyShm) return shm.write.free ? 'SQLITE_READONLY_RECOVERY' : 'SQLITE_BUSY'
      if (!shm.write.tryExclusive(connection)) return 'SQLITE_BUSY'
      header = this.recover(connection)
      shm.write.unlock(connection)
      if (!header) return 'SQLITE_BUSY'
    }
    if (!useWal && shm.backfilled === header.mxFrame && shm.read[0]?.tryShared(connection)) {
      connection.slot = 0
      return true
    }
    let best = 0
    for (let slot = 1; slot < 5; slot++) {
      const mark = shm.marks[slot] as number
      if (mark <= header.mxFrame && mark >= (best === 0 ? 0 : (shm.marks[best] as number))) best = slot
    }
    if (!readonlyShm && (best === 0 || (shm.marks[best] as number) < header.mxFrame)) {
      for (let slot = 1; slot < 5; slot++) {
        const lock = shm.read[slot]
        if (!lock?.tryExclusive(connection)) continue
        shm.marks[slot] = header.mxFrame
        lock.unlock(connection)
        best = slot
        break
      }
    }
    if (best === 0) return readonlyShm ? 'SQLITE_READONLY_CANTINIT' : 'SQLITE_BUSY'
    if (!shm.read[best]?.tryShared(connection)) return 'SQLITE_BUSY'
    connection.slot = best
    return true
  }

  endRead(connection: Connection): void {
    if (connection.slot !== undefined) connection.shm.read[connection.slot]?.unlock(connection)
    connection.slot = undefined
  }

  /**
   * Whatever in the WAL is a whole chain up to a commit frame is committed now, ghosts too. The caller holds the write lock; undefined
   * while somebody else checkpoints.
   */
  protected recover(connection: Connection): IndexHeader | undefined {
    const { ledger } = this
    const { shm, file, wal } = connection
    const checkpoints = shm.checkpoint.heldBy(connection)
    if (!checkpoints && !shm.checkpoint.tryExclusive(connection)) return undefined
    let header: IndexHeader = { iChange: 0, mxFrame: 0, pageCount: 0, checksum1: 0, checksum2: 0, salt1: 0, salt2: 0 }
    const walHeader = wal.length > WAL_HEADER ? parseWalHeader(wal.bytes.subarray(0, wal.length)) : undefined
    let pages = file.pages
    if (walHeader) {
      connection.checkpoints = walHeader.checkpointSequence
      const { salt1, salt2 } = walHeader
      header = { ...header, salt1, salt2 }
      const pending: Buffer[] = [...pages]
      const scanner = new WalScanner(PAGE_BYTES, false, salt1, salt2, { frames: 0, ...walHeader })
      for (let at = WAL_HEADER; at + FRAME_BYTES <= wal.length; at += FRAME_BYTES) {
        const result = scanner.scan(new Uint8Array(wal.bytes.subarray(at, at + FRAME_BYTES)), 1)
        if (result.frames === 0) break
        putPage(pending, result.pages[0] as number, pageOf(wal.bytes, at))
        const commit = result.commits[0] as number
        if (commit === 0) continue
        pending.length = commit
        pages = [...pending]
        const { frames: mxFrame, checksum1, checksum2 } = scanner
        header = { ...header, mxFrame, pageCount: commit, checksum1, checksum2 }
      }
    }
    for (let slot = 1; slot < 5; slot++) {
      if (!shm.read[slot]?.tryExclusive(connection)) continue
      shm.marks[slot] = slot === 1 && header.mxFrame > 0 ? header.mxFrame : NOT_USED
      shm.read[slot]?.unlock(connection)
    }
    shm.backfilled = 0
    shm.attempted = header.mxFrame
    shm.writeCopy(1, header)
    shm.writeCopy(0, header)
    this.scheduler.note(`sqlite ${connection.name}: recovery, ${header.mxFrame} frames`)
    ledger.committed(pages, header)
    if (!checkpoints) shm.checkpoint.unlock(connection)
    return header
  }

  protected *restart(connection: Connection, salt2: number): Operation {
    const { shm } = connection
    const old = shm.header as IndexHeader
    const salt1 = (old.salt1 + 1) >>> 0
    const header = { ...old, mxFrame: 0, salt1, salt2 }
    connection.checkpoints++
    shm.writeCopy(1, header)
    yield 'torn'
    shm.writeCopy(0, header)
    this.ledger.restarted(header)
    yield 'fragile'
    shm.backfilled = 0
    shm.attempted = 0
    shm.marks = [shm.marks[0] as number, 0, NOT_USED, NOT_USED, NOT_USED]
    this.scheduler.note(`sqlite ${connection.name}: WAL restarted, salt-1 ${salt1}`)
  }

  protected tryAllMarks(connection: Connection): boolean {
    const locks = connection.shm.read.slice(1)
    if (locks.every((lock) => lock.tryExclusive(connection))) return true
    for (const lock of locks) lock.unlock(connection)
    return false
  }

  protected *attempt(take: () => boolean, deadlineMs: number): Operation<boolean> {
    while (!take()) {
      if (this.scheduler.monotonicMs >= deadlineMs) return false
      yield 'wait'
    }
    return true
  }
}
