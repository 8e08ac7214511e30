// Follows the WAL of one live database from commit to commit: the commit gate, the chain, and crossings with proof. Holds the
// cursor; hands changed pages to sinks. Knows nothing of pins, timers or replicas; the follower calls it while it holds a pin
// (or, in a window, knowing that it holds none).
//
// Invariant: the cursor always stands at a commit that the wal-index has published, and what the sinks were given up to their
// last `commit` is exactly the database at the cursor.

import type { TimerClock } from '../clock.js'
import type { WalCursor } from '../model/provenance.js'
import { Changeset } from '../source/changeset.js'
import type { ObservedFiles } from '../source/files.js'
import type { ChunkPool } from '../source/spool.js'
import { scanFrames, scannerAtCursor, scannerAtStart } from '../source/wal-reader.js'
import { type CrossingFacts, judgeCrossing } from '../sqlite/crossing.js'
import { hasName, sameCycle, type WalIndexHeader } from '../sqlite/wal-index.js'
import { passesGate, type WalScanner } from '../sqlite/wal-scan.js'
import type { Sink, SourceState } from './sink.js'
import { type PageTaker, type Stretch, StretchReader } from './stretch.js'

export type Look =
  | { readonly outcome: 'current' | 'moved' }
  /** The wal-index and the WAL do not fit (yet); look again soon. */
  | { readonly outcome: 'wait' }
  | { readonly outcome: 'lost'; readonly reason: string }

const LOOK_TRIES = 20
const WAIT: Look = { outcome: 'wait' }

export class WalTracker {
  private current: WalCursor | undefined
  private header: WalIndexHeader | undefined
  private pads: CrossingFacts['pads'] = 'unknown'
  private readonly reader: StretchReader
  readonly sinks = new Set<Sink>()
  /** Restarts of the WAL that were crossed with proof. */
  crossings = 0

  constructor(
    private readonly files: ObservedFiles,
    readonly pageSize: number,
    private readonly options: {
      readonly pool: ChunkPool
      readonly spoolDirectory?: string | undefined
      readonly clock: TimerClock
      readonly attached: () => boolean
      /** A restart of the WAL cannot happen while this is true. */
      readonly protected: () => boolean
    },
  ) {
    this.reader = new StretchReader(files, pageSize, options.clock)
  }

  get cursor(): WalCursor | undefined {
    return this.current
  }

  /** The header that the last look ended with. */
  get lastHeader(): WalIndexHeader | undefined {
    return this.header
  }

  /** The state at the cursor. */
  state(): SourceState | undefined {
    return this.current && this.header ? this.stateAt(this.current, this.header) : undefined
  }

  /** Stand at the newest commit without having followed what led there: at the start, and after continuity was lost. */
  async anchor(): Promise<boolean> {
    this.current = undefined
    for (let attempt = 0; attempt < LOOK_TRIES; attempt++) {
      const header = this.files.walIndex()
      if (!header) continue
      if (header.mxFrame === 0) {
        const { salt1, salt2, iChange } = header
        this.current = { salt1, salt2, frames: 0, checksum1: 0, checksum2: 0, iChange }
        this.header = header
        return true
      }
      const scanner = scannerAtStart(this.files, header)
      if (!scanner || !(await scanFrames(this.files, scanner, header.mxFrame, () => {}, this.options.clock))) continue
      if (!passesGate(scanner, header) || !this.stillIn(header)) continue
      this.current = scanner.cursor(header.iChange)
      this.header = header
      return true
    }
    return false
  }

  /** Read on to the newest commit. After 'lost' the sinks were told, and `anchor` has to be called. */
  async look(): Promise<Look> {
    for (let attempt = 0; attempt < LOOK_TRIES; attempt++) {
      const cursor = this.current
      if (!cursor) return WAIT
      const header = this.files.walIndex()
      if (!header) continue
      const look = sameCycle(header, cursor) ? await this.advance(cursor, header) : await this.cross(cursor, header)
      if (look.outcome === 'wait') continue
      if (look.outcome === 'lost') this.lose(look.reason)
      else this.header = header
      return look
    }
    return WAIT
  }

  /** Every sink is told, and is out. */
  lose(reason: string): void {
    this.current = undefined
    const sinks = [...this.sinks]
    this.sinks.clear()
    for (const sink of sinks) sink.lost(reason)
  }

  /**
   * Let a sink in whose replica stands at `resume`. True when the chain from the cycle's first frame passes through it: the sink
   * then was given what came since and is at the cursor. Otherwise a reason, and the sink was not let in. Needs a fresh look.
   */
  async join(sink: Sink, resume: WalCursor | 'cycle-start'): Promise<true | string> {
    const { current: cursor, header } = this
    if (!cursor || !header) return 'the WAL cannot be read at the moment'
    const from = resume === 'cycle-start' ? 0 : resume.frames
    if (resume !== 'cycle-start') {
      if (!hasName(resume)) return 'the WAL was empty when it was last seen, and any empty WAL looks like it'
      if (!sameCycle(resume, cursor)) return 'the WAL was restarted while nobody watched'
      if (from > cursor.frames) return 'the WAL is shorter than what was replicated'
    }
    if (cursor.frames === 0 || from === cursor.frames) {
      if (resume !== 'cycle-start' && cursor.frames > 0) {
        const equal = resume.checksum1 === cursor.checksum1 && resume.checksum2 === cursor.checksum2
        if (!equal) return 'the WAL holds other commits than what was replicated'
      }
      sink.begin()
    } else {
      const scanner = scannerAtStart(this.files, cursor)
      if (!scanner) return 'the WAL was restarted while it was read'
      if (!(await scanFrames(this.files, scanner, from, () => {}, this.options.clock)))
        return 'the WAL is shorter than what was replicated'
      if (
        resume !== 'cycle-start' &&
        (scanner.checksum1 !== resume.checksum1 || scanner.checksum2 !== resume.checksum2)
      ) {
        return 'the WAL holds other commits than what was replicated'
      }
      const stretch = await this.reader.scan(scanner, cursor.frames)
      if (!stretch || scanner.checksum1 !== cursor.checksum1 || scanner.checksum2 !== cursor.checksum2) {
        return 'the WAL was restarted while it was read'
      }
      sink.begin()
      await this.reader.copy(stretch, (page, image) => sink.put(page, image))
      if (!this.stillIn(cursor)) {
        sink.lost('the WAL was restarted while it was read')
        return 'the WAL was restarted while it was read'
      }
    }
    sink.commit(this.stateAt(cursor, header))
    this.sinks.add(sink)
    return true
  }

  /**
   * The pages that changed between two commits of the cycle that lasts, in their last versions, to whoever wants to stand at the later
   * one. False when that cannot be told (any more); what was taken is worth nothing then.
   */
  async between(from: WalCursor, to: WalCursor, take: PageTaker): Promise<boolean> {
    const { current, header } = this
    if (!current || !header || !hasName(to) || !sameCycle(from, current) || !sameCycle(to, current)) return false
    if (to.frames < from.frames || to.frames > current.frames) return false
    const scanner =
      from.frames === 0
        ? scannerAtStart(this.files, current)
        : scannerAtCursor(this.pageSize, header.bigEndianChecksum, from)
    const stretch = scanner && (await this.reader.scan(scanner, to.frames))
    const arrived = to.frames === 0 || (scanner?.checksum1 === to.checksum1 && scanner.checksum2 === to.checksum2)
    if (!stretch || !arrived) return false
    await this.reader.copy(stretch, take)
    return this.stillIn(current)
  }

  private async advance(cursor: WalCursor, header: WalIndexHeader): Promise<Look> {
    if (header.mxFrame < cursor.frames)
      return { outcome: 'lost', reason: 'the WAL lost commits that it had (recovered after a crash?)' }
    if (header.mxFrame === cursor.frames) {
      const same =
        cursor.frames === 0 || (header.checksum1 === cursor.checksum1 && header.checksum2 === cursor.checksum2)
      if (!same) return { outcome: 'lost', reason: 'the WAL holds other commits than were read' }
      this.current = { ...cursor, iChange: header.iChange }
      return { outcome: 'current' }
    }
    const scanner =
      cursor.frames === 0
        ? scannerAtStart(this.files, header)
        : scannerAtCursor(this.pageSize, header.bigEndianChecksum, cursor)
    if (!scanner) return WAIT
    const small = this.reader.fitsMemory(header.mxFrame - cursor.frames)
    let delivered = false
    const stretch = await this.reader.scan(scanner, header.mxFrame, (pages) => {
      if (!small || !passesGate(scanner, header) || !this.stillIn(header)) return
      for (const sink of this.sinks) sink.begin()
      pages((page, image) => this.put(page, image))
      delivered = true
    })
    if (!stretch) return WAIT
    if (!delivered) {
      if (small || !passesGate(scanner, header) || !this.stillIn(header)) return WAIT
      if (!(await this.deliver(stretch, header))) return WAIT
    }
    this.learnPadding(stretch, (header.iChange - cursor.iChange) | 0)
    this.moveTo(scanner, header)
    return { outcome: 'moved' }
  }

  private async cross(cursor: WalCursor, header: WalIndexHeader): Promise<Look> {
    // Everything is staged before the sinks see any of it: frames of the old cycle can be overwritten at any moment.
    const old = new Changeset(this.options.pool, this.options.spoolDirectory)
    const recent = new Changeset(this.options.pool, this.options.spoolDirectory)
    try {
      return await this.crossStaging(cursor, header, old, recent)
    } finally {
      old.clear()
      recent.clear()
    }
  }

  private async crossStaging(
    cursor: WalCursor,
    header: WalIndexHeader,
    old: Changeset,
    recent: Changeset,
  ): Promise<Look> {
    // The old cycle has its own byte order: a WAL made elsewhere keeps it until it restarts.
    const { bigEndianChecksum } = this.header ?? header
    const keepOld = (page: number, image: Uint8Array) => old.put(page, image)
    const keepRecent = (page: number, image: Uint8Array) => recent.put(page, image)
    // First, because the new cycle is overwriting it.
    const tail = await this.reader.tail(cursor, bigEndianChecksum, keepOld)
    let fresh: Stretch | undefined
    if (header.mxFrame > 0) {
      let kept = false
      const scanner = scannerAtStart(this.files, header)
      fresh =
        scanner &&
        (await this.reader.scan(scanner, header.mxFrame, (pages) => {
          pages(keepRecent)
          kept = true
        }))
      if (!scanner || !fresh || !passesGate(scanner, header)) return WAIT
      if (!kept) await this.reader.copy(fresh, keepRecent)
    }
    if (!this.stillIn(header)) return WAIT
    const newCommits = fresh?.commits ?? 0
    // The tail matters only when commits are missing without it; what it holds otherwise is ghosts.
    const needsTail = ((header.iChange - cursor.iChange) | 0) > newCommits
    const verdict = judgeCrossing({
      oldSalt1: cursor.salt1,
      newSalt1: header.salt1,
      oldChange: cursor.iChange,
      newChange: header.iChange,
      newCommits,
      tailCommits: needsTail ? tail.commits : 0,
      repeatedCommits: (fresh?.repeatedCommits ?? 0) > 0 || (needsTail && tail.repeatedCommits > 0),
      pads: this.pads,
      attached: this.options.attached(),
    })
    if (!verdict.proven) return { outcome: 'lost', reason: verdict.reason }
    if (verdict.takeFromTail < tail.commits || tail.open) {
      old.clear()
      // Ghosts lie behind the commits that count: whole commits, or frames of a transaction that was rolled back.
      const most = verdict.takeFromTail
      const taken = most > 0 ? await this.reader.tail(cursor, bigEndianChecksum, keepOld, most) : { commits: 0 }
      if (taken.commits < most) return { outcome: 'lost', reason: 'the WAL was overwritten before it was read' }
      if (!this.stillIn(header)) return WAIT
    }
    this.forward(old, recent)
    const { salt1, salt2, iChange } = header
    this.crossings++
    this.current = fresh
      ? fresh.scanner.cursor(iChange)
      : { salt1, salt2, frames: 0, checksum1: 0, checksum2: 0, iChange }
    this.commit(header)
    return { outcome: 'moved' }
  }

  /** Hand a large stretch to the sinks. False when the WAL was restarted underneath; then the sinks saw nothing. */
  private async deliver(stretch: Stretch, header: WalIndexHeader): Promise<boolean> {
    if (this.sinks.size === 0) return true
    if (this.options.protected()) {
      for (const sink of this.sinks) sink.begin()
      await this.reader.copy(stretch, (page, image) => this.put(page, image))
      return true
    }
    const staged = new Changeset(this.options.pool, this.options.spoolDirectory)
    try {
      await this.reader.copy(stretch, (page, image) => staged.put(page, image))
      if (!this.stillIn(header)) return false
      this.forward(staged)
      return true
    } finally {
      staged.clear()
    }
  }

  /** A page that is in several of them counts in the last one. */
  private forward(...staged: Changeset[]): void {
    const image = Buffer.alloc(this.pageSize)
    for (const sink of this.sinks) sink.begin()
    for (const changes of staged) {
      for (const page of changes.pages(0xffffffff)) {
        changes.read(page, image)
        this.put(page, image)
      }
    }
  }

  private put(page: number, image: Uint8Array): void {
    for (const sink of this.sinks) sink.put(page, image)
  }

  /** Inside a cycle the change counter can be compared with the marks: more marks than commits means padding. */
  private learnPadding(stretch: Stretch, growth: number): void {
    if (stretch.commits > growth) this.pads = 'yes'
    else if (stretch.repeatedCommits > 0 && this.pads === 'unknown') this.pads = 'no'
  }

  private moveTo(scanner: WalScanner, header: WalIndexHeader): void {
    this.current = scanner.cursor(header.iChange)
    this.commit(header)
  }

  private commit(header: WalIndexHeader): void {
    this.header = header
    const state = this.stateAt(this.current as WalCursor, header)
    for (const sink of this.sinks) sink.commit(state)
  }

  private stateAt(cursor: WalCursor, header: WalIndexHeader): SourceState {
    const { pageSize } = this
    const pageCount = header.pageCount || Math.floor(this.files.databaseBytes() / pageSize)
    const { clock } = this.options
    return { pageSize, pageCount, observedAtMs: clock.now(), uptime: clock.uptime(), source: { cursor } }
  }

  /** The WAL is still in this cycle. */
  private stillIn(cycle: { salt1: number; salt2: number }): boolean {
    const header = this.files.walIndex()
    return header !== undefined && sameCycle(header, cycle)
  }
}
