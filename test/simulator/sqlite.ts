// SQLite's WAL mode, as far as an observer can see it: frames, salts and checksums as real bytes; commits, checkpoints and the last
// close by the rules of SQLite's wal.c; locks, read marks and recovery are in connections.ts. Whatever takes several system calls is a generator that stops between them, so that
// anybody else can act (or everybody die) there. Keeps a ledger of every state that was ever committed.
//
// Written from SQLite's documentation and source, not from this program's: where the two disagree the simulator finds out.

import { encodeFrame, encodeWalHeader, WalChecksum } from '../../src/sqlite/wal-format.js'
import { type Connection, Connections, type Operation } from './connections.js'
import { FRAME_BYTES, type IndexHeader, NOT_USED, PAGE_BYTES, pageOf, putPage, WAL_HEADER } from './disk.js'

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

export class Sqlite extends Connections {
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
