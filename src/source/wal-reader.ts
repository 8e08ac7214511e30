// Reads stretches of a WAL in pieces and hands each to a scanner. Between pieces other work may run (a transaction can be larger
// than memory), within one nothing can: the buffer is shared by the whole process.

import type { TimerClock } from '../clock.js'
import type { WalCursor } from '../model/provenance.js'
import {
  FRAME_HEADER_BYTES,
  frameOffset,
  parseWalHeader,
  WAL_HEADER_BYTES,
  type WalHeader,
} from '../sqlite/wal-format.js'
import { type ScanResult, WalScanner } from '../sqlite/wal-scan.js'
import type { ObservedFiles } from './files.js'

/** Read and checked while it is in the processor's cache. */
const PIECE_BYTES = 512 << 10
/** What changes between two looks at a busy database; longer stretches are read twice. */
const BUFFER_BYTES = 16 << 20
/** Longest stretch of synchronous work before others get their turn. */
const BREATH_MS = 8

/** Allocated on its own, so that frames (multiples of 8 bytes) lie aligned for the checksum's word view. */
const buffer = Buffer.from(new ArrayBuffer(BUFFER_BYTES))

/** Lets timers and sockets have their turn when the current stretch of work has been long. */
export class Breath {
  private lastMs: number

  constructor(private readonly clock: TimerClock) {
    this.lastMs = clock.monotonic()
  }

  async take(): Promise<void> {
    if (this.clock.monotonic() - this.lastMs < BREATH_MS) return
    await this.clock.turn()
    this.lastMs = this.clock.monotonic()
  }
}

function framesPerPiece(pageSize: number): number {
  return Math.floor(PIECE_BYTES / (FRAME_HEADER_BYTES + pageSize))
}

/** So long a stretch is whole in memory when it has been scanned. */
export function framesInMemory(pageSize: number): number {
  return Math.floor(BUFFER_BYTES / (FRAME_HEADER_BYTES + pageSize))
}

export function readWalHeader(files: ObservedFiles): WalHeader | undefined {
  const bytes = buffer.subarray(0, WAL_HEADER_BYTES)
  const length = files.readWal(bytes, WAL_HEADER_BYTES, 0)
  return parseWalHeader(bytes.subarray(0, length))
}

/** A scanner before the first frame of the cycle with these salts; undefined while the WAL's header is another cycle's. */
export function scannerAtStart(files: ObservedFiles, cycle: { salt1: number; salt2: number }): WalScanner | undefined {
  const header = readWalHeader(files)
  if (!header || header.salt1 !== cycle.salt1 || header.salt2 !== cycle.salt2) return undefined
  const { checksum1, checksum2 } = header
  return new WalScanner(header.pageSize, header.bigEndianChecksum, header.salt1, header.salt2, {
    frames: 0,
    checksum1,
    checksum2,
  })
}

export function scannerAtCursor(pageSize: number, bigEndianChecksum: boolean, cursor: WalCursor): WalScanner {
  return new WalScanner(pageSize, bigEndianChecksum, cursor.salt1, cursor.salt2, cursor)
}

/**
 * `bytes` holds the piece's frames and is valid only during the call. `firstFrame` counts from 0. `whole` holds all frames of a
 * stretch that fits memory, when its last piece has been scanned.
 */
export type Piece = (result: ScanResult, bytes: Buffer, firstFrame: number, whole: Buffer | undefined) => void

/** Scan from the scanner's place up to `untilFrames`, or to where the chain ends. True when it got there. */
export async function scanFrames(
  files: ObservedFiles,
  scanner: WalScanner,
  untilFrames: number,
  piece: Piece,
  clock: TimerClock,
): Promise<boolean> {
  const breath = new Breath(clock)
  const { pageSize } = scanner
  const most = framesPerPiece(pageSize)
  const frameBytes = FRAME_HEADER_BYTES + pageSize
  const start = scanner.frames
  // The pieces of a short stretch lie side by side, and nothing else runs before it is whole.
  const short = untilFrames - start <= framesInMemory(pageSize)
  while (scanner.frames < untilFrames) {
    const first = scanner.frames
    const wanted = Math.min(most, untilFrames - first)
    const bytes = short ? buffer.subarray((first - start) * frameBytes) : buffer
    const length = files.readWal(bytes, wanted * frameBytes, frameOffset(first, pageSize))
    const result = scanner.scan(bytes, Math.floor(length / frameBytes))
    piece(result, bytes, first, short && scanner.frames === untilFrames ? buffer : undefined)
    if (result.frames < wanted) return false
    if (!short) await breath.take()
  }
  return true
}

/** Read frames `[from, until)` again without checking them, piece by piece. */
export async function readFrames(
  files: ObservedFiles,
  pageSize: number,
  from: number,
  until: number,
  piece: (bytes: Buffer, firstFrame: number, count: number) => void,
  clock: TimerClock,
): Promise<void> {
  const breath = new Breath(clock)
  const frameBytes = FRAME_HEADER_BYTES + pageSize
  for (let first = from; first < until; ) {
    const wanted = Math.min(framesPerPiece(pageSize), until - first)
    const count = Math.floor(files.readWal(buffer, wanted * frameBytes, frameOffset(first, pageSize)) / frameBytes)
    if (count === 0) return
    piece(buffer, first, count)
    first += count
    await breath.take()
  }
}
