// The beginning of the wal-index (`-shm`): what SQLite itself calls committed. Native byte order (little-endian here); the
// salts are kept as in the WAL, big-endian. Source: SQLite's wal.c, "WAL-INDEX FILE FORMAT".
//
//   0-47   WalIndexHdr                              96   nBackfill: frames known to be in the database file
//   48-95  the same again: equal when not torn     100   five read marks
//          0 iVersion  4 unused    8 iChange       120   eight lock bytes (locked, never written)
//         12 isInit   13 bigEndCksum  14 szPage    128   nBackfillAttempted: > nBackfill while a checkpoint runs
//         16 mxFrame  20 nPage
//         24 aFrameCksum[2]  32 aSalt[2]  40 aCksum[2]

export const WAL_INDEX_BYTES = 136
const HEADER_BYTES = 48
export const WAL_INDEX_VERSION = 3007000

export interface WalIndexHeader {
  /** Grows by one with every commit, survives restarts of the WAL; recovery sets it to zero. Unsigned 32 bits. */
  readonly iChange: number
  /** 0 before anything was written. */
  readonly pageSize: number
  readonly bigEndianChecksum: boolean
  /** The last committed frame; frames are counted from 1, so this is also their number. */
  readonly mxFrame: number
  /** Pages of the database at that commit; 0 when the WAL was empty at recovery. */
  readonly pageCount: number
  /** The cumulative WAL checksum at mxFrame. */
  readonly checksum1: number
  readonly checksum2: number
  readonly salt1: number
  readonly salt2: number
  /** Outside of the header's checksum: good for timing, not for proof. */
  readonly backfilled: number
  readonly backfillAttempted: number
}

/** Undefined when the two copies differ (a writer is in its midst), the checksum is wrong, or it was never initialised. */
export function parseWalIndex(bytes: Buffer): WalIndexHeader | undefined {
  if (bytes.length < WAL_INDEX_BYTES) return undefined
  if (bytes.compare(bytes, HEADER_BYTES, 2 * HEADER_BYTES, 0, HEADER_BYTES) !== 0) return undefined
  if (bytes[12] === 0 || bytes.readUInt32LE(0) !== WAL_INDEX_VERSION) return undefined
  let s1 = 0
  let s2 = 0
  for (let at = 0; at < 40; at += 8) {
    s1 = (s1 + bytes.readInt32LE(at) + s2) | 0
    s2 = (s2 + bytes.readInt32LE(at + 4) + s1) | 0
  }
  if (s1 !== bytes.readInt32LE(40) || s2 !== bytes.readInt32LE(44)) return undefined
  const rawPageSize = bytes.readUInt16LE(14)
  return {
    iChange: bytes.readUInt32LE(8),
    bigEndianChecksum: bytes[13] !== 0,
    // SQLite folds 65536 into the low bit.
    pageSize: (rawPageSize & 0xfe00) | ((rawPageSize & 0x0001) << 16),
    mxFrame: bytes.readUInt32LE(16),
    pageCount: bytes.readUInt32LE(20),
    checksum1: bytes.readUInt32LE(24),
    checksum2: bytes.readUInt32LE(28),
    salt1: bytes.readUInt32BE(32),
    salt2: bytes.readUInt32BE(36),
    backfilled: bytes.readUInt32LE(96),
    backfillAttempted: bytes.readUInt32LE(128),
  }
}

/** Parses what changed only: while the bytes stay the same, so does the header that it gives, the very object. */
export class WalIndexParser {
  private readonly bytes = Buffer.alloc(WAL_INDEX_BYTES)
  private header: WalIndexHeader | undefined

  /** As parseWalIndex, of the first WAL_INDEX_BYTES of a `-shm`. */
  parse(bytes: Buffer): WalIndexHeader | undefined {
    const { header } = this
    if (header && bytes.compare(this.bytes, 0, WAL_INDEX_BYTES, 0, WAL_INDEX_BYTES) === 0) return header
    const parsed = parseWalIndex(bytes)
    if (!parsed) return undefined
    bytes.copy(this.bytes, 0, 0, WAL_INDEX_BYTES)
    this.header = parsed
    return parsed
  }
}

const READ_MARKS_AT = 100
const UNUSED_MARK = 0xffffffff

/** Read marks 0-4: the last frame that readers on each of them see. 0 for one that nobody has used. */
export function parseReadMarks(bytes: Buffer): number[] {
  return [0, 1, 2, 3, 4].map((mark) => {
    const frame = bytes.readUInt32LE(READ_MARKS_AT + 4 * mark)
    return frame === UNUSED_MARK ? 0 : frame
  })
}

/**
 * Whether the salts tell this cycle from all others. SQLite draws them when it writes a WAL's first frame: until then a wal-index that
 * was made for an empty WAL has none, and every such WAL looks alike, however many came and went in between.
 */
export const hasName = ({ salt1, salt2 }: { salt1: number; salt2: number }): boolean => salt1 !== 0 || salt2 !== 0

export function sameCycle(a: { salt1: number; salt2: number }, b: { salt1: number; salt2: number }): boolean {
  return a.salt1 === b.salt1 && a.salt2 === b.salt2
}
