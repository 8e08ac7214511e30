// SQLite's WAL mode, as far as an observer can see it: frames, salts and checksums as real bytes; read marks, checkpoints, restarts
// and recovery by the rules of SQLite's wal.c. Whatever takes several system calls is a generator that stops between them, so that
// anybody else can act (or everybody die) there. Keeps a ledger of every state that was ever committed.
//
// Written from SQLite's documentation and source, not from this program's: where the two disagree the simulator finds out.

import { encodeFrame, encodeWalHeader, parseWalHeader, WalChecksum } from '../../src/sqlite/wal-format.js'
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

const WAL_HEADER = 32

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

export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'

export interface Transaction {
  /** Page numbers; a page can come twice (it was spilled, and changed again). */
  readonly pages: readonly number[]
  readonly pageCount: number
  readonly rollback: boolean
  /** Commit frames are repeated to fill a sector (psow=0). */
  readonly padding: number
  /** synchronous=FULL. */
  readonly sync: boolean
  /** journal_size_limit; 0 for none. The first commit of a cycle cuts a longer WAL off. */
  readonly walBytesMax: number
}

export class Sqlite {
  constructor(
    private readonly disk: Disk,
    private readonly ledger: Ledger,
    private readonly scheduler: Scheduler,
    private readonly random: Random,
  ) {}

  private u32(): number {
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

  /**
   * The last one checkpoints and removes the WAL, shared memory first. All the while it holds the database file alone, so nobody can
   * open it between these steps. (In a model without that lock, connections outlived their WAL and wrote into the next one.)
   */
  *close(connection: Connection): Operation {
    const { disk } = this
    this.endRead(connection)
    const { file, shm } = connection
    if (file.lock.tryExclusive(connection)) {
      yield* this.checkpoint(connection, 'PASSIVE', 0)
      const { header } = shm
      if (header && shm.backfilled === header.mxFrame) {
        disk.deleteShm()
        yield 'step'
        disk.deleteWal()
      }
    }
    this.drop(connection)
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
  private recover(connection: Connection): IndexHeader | undefined {
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

  private *restart(connection: Connection, salt2: number): Operation {
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

  private tryAllMarks(connection: Connection): boolean {
    const locks = connection.shm.read.slice(1)
    if (locks.every((lock) => lock.tryExclusive(connection))) return true
    for (const lock of locks) lock.unlock(connection)
    return false
  }

  /** One write transaction. False: it came to nothing. */
  *transact(connection: Connection, work: Transaction, busyMs: number): Operation<boolean> {
    const { shm } = connection
    const deadlineMs = this.scheduler.monotonicMs + busyMs
    const waiting = function* (attempt: () => boolean, over: () => boolean): Operation<boolean> {
      while (!attempt()) {
        if (over()) return false
        yield 'wait'
      }
      return true
    }
    const over = () => this.scheduler.monotonicMs >= deadlineMs
    if (!(yield* waiting(() => this.beginRead(connection) === true, over))) return false
    const snapshot = shm.header
    yield 'step'
    if (!(yield* waiting(() => shm.write.tryExclusive(connection), over))) {
      this.endRead(connection)
      return false
    }
    if (shm.header !== snapshot || !snapshot) {
      shm.write.unlock(connection)
      this.endRead(connection)
      return false
    }
    if (connection.slot === 0) {
      if (shm.backfilled > 0 && this.tryAllMarks(connection)) {
        yield* this.restart(connection, this.u32())
        for (const lock of shm.read.slice(1)) lock.unlock(connection)
      }
      this.endRead(connection)
      if (!(yield* waiting(() => this.beginRead(connection, true) === true, over))) {
        shm.write.unlock(connection)
        return false
      }
    }
    const done = yield* this.writeFrames(connection, work)
    shm.write.unlock(connection)
    this.endRead(connection)
    return done
  }

  private *writeFrames(connection: Connection, work: Transaction): Operation<boolean> {
    const { disk, ledger } = this
    const { shm, wal } = connection
    let header = shm.header
    if (!header) return false
    const opensCycle = header.mxFrame === 0
    const checksum = new WalChecksum(false, header.checksum1, header.checksum2)
    if (opensCycle) {
      if (connection.checkpoints === 0) header = { ...header, salt1: this.u32(), salt2: this.u32() }
      const { salt1, salt2 } = header
      wal.write(
        encodeWalHeader({ pageSize: PAGE_BYTES, checkpointSequence: connection.checkpoints, salt1, salt2 }, checksum),
        0,
      )
      wal.syncedLength = WAL_HEADER
      disk.onChange()
      yield 'step'
    }
    const { salt1, salt2 } = header
    const pages = [...ledger.current.pages]
    let frames = header.mxFrame
    const append = (page: number, image: Buffer, commitPageCount: number): void => {
      const frame = Buffer.alloc(FRAME_BYTES)
      image.copy(frame, 24)
      encodeFrame(frame, 0, { page, commitPageCount, salt1, salt2, pageSize: PAGE_BYTES }, checksum)
      wal.write(frame, WAL_HEADER + frames * FRAME_BYTES)
      frames++
    }
    for (const [at, page] of work.pages.entries()) {
      const image = ledger.newPage(page, work.pageCount)
      putPage(pages, page, image)
      const last = at === work.pages.length - 1 && !work.rollback
      append(page, image, last ? work.pageCount : 0)
      yield 'step'
      if (!last) continue
      for (let copy = 0; copy < work.padding; copy++) append(page, image, work.pageCount)
    }
    disk.onChange()
    if (work.rollback) return false
    const end = WAL_HEADER + frames * FRAME_BYTES
    if (work.sync) wal.syncedLength = end
    yield 'step'
    if (opensCycle && work.walBytesMax > 0 && wal.length > Math.max(end, work.walBytesMax)) {
      wal.truncate(Math.max(end, work.walBytesMax))
      disk.onChange()
      yield 'step'
    }
    pages.length = work.pageCount
    const { checksum1, checksum2 } = checksum
    const published: IndexHeader = {
      iChange: (header.iChange + 1) >>> 0,
      mxFrame: frames,
      pageCount: work.pageCount,
      checksum1,
      checksum2,
      salt1,
      salt2,
    }
    shm.writeCopy(1, published)
    yield 'torn'
    shm.writeCopy(0, published)
    ledger.committed(pages, published)
    this.scheduler.note(
      `sqlite ${connection.name}: commit ${ledger.current.id}, frames ${frames}, ${work.pageCount} pages`,
    )
    return true
  }

  *checkpoint(connection: Connection, mode: CheckpointMode, busyMs: number): Operation {
    const { disk, ledger } = this
    const { shm, file, wal } = connection
    if (!shm.checkpoint.tryExclusive(connection)) return
    let patient = mode !== 'PASSIVE'
    const deadlineMs = this.scheduler.monotonicMs + busyMs
    const attempt = (take: () => boolean) => this.attempt(take, patient ? deadlineMs : 0)
    // What cannot have the write lock in time is a passive one.
    patient &&= yield* attempt(() => shm.write.tryExclusive(connection))
    if (!shm.header && (patient || shm.write.tryExclusive(connection))) {
      this.recover(connection)
      if (!patient) shm.write.unlock(connection)
    }
    const { header } = shm
    if (header) {
      yield 'step'
      if (shm.backfilled < header.mxFrame) yield* this.backfill(connection, mode, header, attempt)
      if (shm.header === header && shm.backfilled === header.mxFrame) ledger.stamped(file)
      const restarts = patient && (mode === 'RESTART' || mode === 'TRUNCATE') && shm.backfilled === header.mxFrame
      if (restarts && (yield* attempt(() => this.tryAllMarks(connection)))) {
        if (mode === 'TRUNCATE') {
          yield* this.restart(connection, this.u32())
          wal.truncate(0)
          disk.onChange()
        }
        for (const lock of shm.read.slice(1)) lock.unlock(connection)
      }
    }
    if (patient) shm.write.unlock(connection)
    shm.checkpoint.unlock(connection)
  }

  private *attempt(take: () => boolean, deadlineMs: number): Operation<boolean> {
    while (!take()) {
      if (this.scheduler.monotonicMs >= deadlineMs) return false
      yield 'wait'
    }
    return true
  }

  /** As far as readers let it; `header` is what was published when it began, and may be old news. */
  private *backfill(
    connection: Connection,
    mode: CheckpointMode,
    header: IndexHeader,
    attempt: (take: () => boolean) => Operation<boolean>,
  ): Operation {
    const { disk } = this
    const { shm, file, wal } = connection
    let safe = header.mxFrame
    for (let slot = 1; slot < 5; slot++) {
      const mark = shm.marks[slot] as number
      if (safe <= mark) continue
      const lock = shm.read[slot]
      if (yield* attempt(() => lock?.tryExclusive(connection) ?? false)) {
        shm.marks[slot] = slot === 1 ? safe : NOT_USED
        lock?.unlock(connection)
      } else safe = mark
    }
    if (shm.backfilled >= safe || !(yield* attempt(() => shm.read[0]?.tryExclusive(connection) ?? false))) return
    const { header: live } = shm
    // Now nobody can restart the WAL; if somebody has since the header was read, there is nothing to do.
    if (!live || (live.salt1 === header.salt1 && live.salt2 === header.salt2)) {
      shm.attempted = safe
      wal.syncedLength = wal.length
      yield 'step'
      const latest = new Map<number, number>()
      for (let frame = 1; frame <= header.mxFrame; frame++) {
        latest.set(wal.bytes.readUInt32BE(WAL_HEADER + (frame - 1) * FRAME_BYTES), frame)
      }
      const pages = [...latest].sort(([a], [b]) => a - b)
      for (const [page, frame] of pages) {
        if (frame <= shm.backfilled || frame > safe || page > header.pageCount) continue
        putPage(file.pages, page, pageOf(wal.bytes, WAL_HEADER + (frame - 1) * FRAME_BYTES))
        disk.touch(file)
        yield 'step'
      }
      if (safe === shm.lastFrame && file.pages.length > header.pageCount) {
        file.pages.length = header.pageCount
        disk.touch(file)
      }
      yield 'step'
      shm.backfilled = safe
      this.scheduler.note(`sqlite ${connection.name}: ${mode} checkpoint, ${safe} of ${header.mxFrame}`)
    }
    shm.read[0]?.unlock(connection)
  }
}
