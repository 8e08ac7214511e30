// Stretches of frames: scanned up to the commit gate, and their pages copied afterwards, each in its last version only. Works on one
// live database's WAL; holds no state between calls.

import type { TimerClock } from '../clock.js'
import { PageMap } from '../model/page-map.js'
import type { WalCursor } from '../model/provenance.js'
import type { ObservedFiles } from '../source/files.js'
import {
  framesInMemory,
  type Piece,
  readFrames,
  scanFrames,
  scannerAtCursor,
  scannerAtStart,
} from '../source/wal-reader.js'
import { FRAME_HEADER_BYTES } from '../sqlite/wal-format.js'
import type { WalScanner } from '../sqlite/wal-scan.js'

/** Takes the pages of a stretch. */
export type PageTaker = (page: number, image: Uint8Array) => void

export interface Stretch {
  /** Which frame (from 0) holds the last version of each page. */
  readonly latest: PageMap
  readonly from: number
  readonly until: number
  readonly commits: number
  readonly repeatedCommits: number
  /** Stands behind the stretch. */
  readonly scanner: WalScanner
}

/** Pages of a stretch that lies whole in memory, for the time of the call. */
export type StretchInMemory = (take: PageTaker) => void

export class StretchReader {
  private readonly frameBytes: number

  constructor(
    private readonly files: ObservedFiles,
    readonly pageSize: number,
    private readonly clock: TimerClock,
  ) {
    this.frameBytes = FRAME_HEADER_BYTES + pageSize
  }

  /** So long a stretch can be offered to `inMemory`. */
  fitsMemory(frames: number): boolean {
    return frames <= framesInMemory(this.pageSize)
  }

  /**
   * Scan from the scanner's place to `untilFrames`; undefined when the chain ends before. A stretch that fits memory is offered to
   * `inMemory` in the very moment in which it was scanned, before anything else can run.
   */
  async scan(
    scanner: WalScanner,
    untilFrames: number,
    inMemory?: (pages: StretchInMemory) => void,
  ): Promise<Stretch | undefined> {
    const from = scanner.frames
    const latest = new PageMap()
    let commits = 0
    let repeatedCommits = 0
    const reached = await scanFrames(
      this.files,
      scanner,
      untilFrames,
      (result, _bytes, first, whole) => {
        commits += result.commitCount
        repeatedCommits += result.repeatedCommits
        for (let frame = 0; frame < result.frames; frame++) latest.set(result.pages[frame] as number, first + frame)
        if (whole) inMemory?.((take) => this.takeLatest(latest, take, whole, from, untilFrames - from))
      },
      this.clock,
    )
    return reached ? { latest, from, until: untilFrames, commits, repeatedCommits, scanner } : undefined
  }

  /** The last version of every page of the stretch, read again from the WAL: right only if the WAL was not restarted meanwhile. */
  async copy(stretch: Stretch, take: PageTaker): Promise<void> {
    await readFrames(
      this.files,
      this.pageSize,
      stretch.from,
      stretch.until,
      (bytes, first, count) => {
        this.takeLatest(stretch.latest, take, bytes, first, count)
      },
      this.clock,
    )
  }

  /**
   * Commits of a cycle that is over, from the cursor to the end of its chain or to the first `commitsMax`. The pages that `take` is
   * given come from the very bytes that were checked: a new cycle may be overwriting them. `open`: it was given frames behind the last
   * commit as well, of a transaction that was rolled back or never ended.
   */
  async tail(
    cursor: WalCursor,
    bigEndianChecksum: boolean,
    take: PageTaker,
    commitsMax = Number.POSITIVE_INFINITY,
  ): Promise<{ commits: number; repeatedCommits: number; open: boolean }> {
    const { files, pageSize, frameBytes, clock } = this
    const scanner =
      cursor.frames === 0 ? scannerAtStart(files, cursor) : scannerAtCursor(pageSize, bigEndianChecksum, cursor)
    let commits = 0
    let repeatedCommits = 0
    let open = false
    if (!scanner) return { commits, repeatedCommits, open }
    const piece: Piece = (result, bytes) => {
      repeatedCommits += result.repeatedCommits
      for (let frame = 0; frame < result.frames && commits < commitsMax; frame++) {
        const at = frame * frameBytes + FRAME_HEADER_BYTES
        take(result.pages[frame] as number, bytes.subarray(at, at + pageSize))
        open = result.commits[frame] === 0
        if (!open) commits++
      }
    }
    // As far as possible without giving others a turn: the new cycle comes closer.
    const atOnce = scanner.frames + framesInMemory(pageSize)
    if (await scanFrames(files, scanner, atOnce, piece, clock))
      await scanFrames(files, scanner, Number.MAX_SAFE_INTEGER, piece, clock)
    return { commits, repeatedCommits, open }
  }

  private takeLatest(latest: PageMap, take: PageTaker, bytes: Buffer, first: number, count: number): void {
    for (let frame = 0; frame < count; frame++) {
      const at = frame * this.frameBytes
      const page = bytes.readUInt32BE(at)
      if (latest.get(page) === first + frame) take(page, bytes.subarray(at + FRAME_HEADER_BYTES, at + this.frameBytes))
    }
  }
}
