// Walks frames of one WAL cycle: each frame needs both salts and the cumulative checksum. Pure; the caller brings the bytes in
// pieces of whole frames. What a commit mark is worth is not decided here: see wal-index (the commit gate) and crossing.

import type { WalCursor } from '../model/provenance.js'
import { FRAME_HEADER_BYTES, WalChecksum } from './wal-format.js'
import type { WalIndexHeader } from './wal-index.js'

export type ScanStop = 'salts' | 'checksum' | 'page-number'

/** What one call of `scan` found; the arrays are the scanner's own and are overwritten by the next call. */
export interface ScanResult {
  /** Valid frames in the piece. */
  readonly frames: number
  /** Per frame: page number, and the database size in pages where the frame is a commit (else 0). */
  readonly pages: Uint32Array
  readonly commits: Uint32Array
  /** Commit frames that repeat the frame before them, as padding does. */
  readonly repeatedCommits: number
  readonly commitCount: number
  /** Why it stopped before the end of the piece. */
  readonly stop: ScanStop | undefined
}

export class WalScanner {
  private readonly checksum: WalChecksum
  private readonly frameBytes: number
  private pages = new Uint32Array(0)
  private commits = new Uint32Array(0)
  private lastCommitPage = 0
  private lastCommitSize = 0
  private lastCommitWords = new Int32Array(0)
  private justCommitted = false
  /** Frames of the cycle that are behind this scanner. */
  frames: number

  constructor(
    readonly pageSize: number,
    bigEndianChecksum: boolean,
    readonly salt1: number,
    readonly salt2: number,
    from: { frames: number; checksum1: number; checksum2: number },
  ) {
    this.frameBytes = FRAME_HEADER_BYTES + pageSize
    this.checksum = new WalChecksum(bigEndianChecksum, from.checksum1, from.checksum2)
    this.frames = from.frames
  }

  get checksum1(): number {
    return this.checksum.checksum1
  }

  get checksum2(): number {
    return this.checksum.checksum2
  }

  /** The cursor at the scanner's place; meaningful only behind a commit. */
  cursor(iChange: number): WalCursor {
    const { salt1, salt2, frames, checksum1, checksum2 } = this
    return { salt1, salt2, frames, checksum1, checksum2, iChange }
  }

  /**
   * Scan `count` whole frames at the beginning of `bytes` (which must be 4-byte aligned in its buffer). Stops at the first frame
   * that does not belong to the chain; the scanner then stands before that frame.
   */
  scan(bytes: Uint8Array, count: number): ScanResult {
    if (this.pages.length < count) {
      this.pages = new Uint32Array(count)
      this.commits = new Uint32Array(count)
    }
    const { pages, commits, checksum, frameBytes } = this
    const view = new DataView(bytes.buffer, bytes.byteOffset, count * frameBytes)
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, (count * frameBytes) >> 2)
    const frameWords = frameBytes >> 2
    let stop: ScanStop | undefined
    let commitCount = 0
    let repeatedCommits = 0
    let frame = 0
    for (; frame < count; frame++) {
      const at = frame * frameBytes
      if (view.getUint32(at + 8) !== this.salt1 || view.getUint32(at + 12) !== this.salt2) {
        stop = 'salts'
        break
      }
      const page = view.getUint32(at)
      if (page === 0) {
        stop = 'page-number'
        break
      }
      const before1 = checksum.checksum1
      const before2 = checksum.checksum2
      const word = frame * frameWords
      checksum.addWords(words, word, word + 2)
      checksum.addWords(words, word + 6, word + frameWords)
      if (checksum.checksum1 !== view.getUint32(at + 16) || checksum.checksum2 !== view.getUint32(at + 20)) {
        checksum.set(before1, before2)
        stop = 'checksum'
        break
      }
      const commit = view.getUint32(at + 4)
      pages[frame] = page
      commits[frame] = commit
      if (commit === 0) {
        this.justCommitted = false
      } else {
        // A commit directly behind a commit, of the same page with the same content: padding, or the same change once more.
        // At the beginning of a piece the frame before is out of sight; its page was kept.
        if (
          this.justCommitted &&
          page === this.lastCommitPage &&
          commit === this.lastCommitSize &&
          (frame === 0
            ? equalWords(this.lastCommitWords, 0, words, word + 6, frameWords - 6)
            : equalWords(words, word - frameWords + 6, words, word + 6, frameWords - 6))
        ) {
          repeatedCommits++
        }
        this.justCommitted = true
        this.lastCommitPage = page
        this.lastCommitSize = commit
        commitCount++
      }
    }
    if (this.justCommitted && frame > 0) {
      const lastWord = (frame - 1) * frameWords
      this.lastCommitWords = words.slice(lastWord + 6, lastWord + frameWords)
    }
    this.frames += frame
    return { frames: frame, pages, commits, repeatedCommits, commitCount, stop }
  }
}

function equalWords(a: Int32Array, atA: number, b: Int32Array, atB: number, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}

/** The commit gate: a commit is real only when the wal-index says so, frame number and checksum. */
export function passesGate(scanner: WalScanner, header: WalIndexHeader): boolean {
  return (
    scanner.frames === header.mxFrame &&
    scanner.checksum1 === header.checksum1 &&
    scanner.checksum2 === header.checksum2
  )
}
