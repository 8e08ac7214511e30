// What an object of ours stands for: the state of the source that a restore up to it gives, and when that was seen. It
// travels behind the LZ4 frame of the object (codec/trailer), where other readers of the layout ignore it.

import { MOMENT_MAX_MS } from './target.js'

/** Where in the source's WAL a reader stands, always just behind a commit. See sqlite/wal-scan. */
export interface WalCursor {
  readonly salt1: number
  readonly salt2: number
  /** Frames of this WAL cycle that are behind the cursor. */
  readonly frames: number
  /** The cumulative checksum after those frames, two unsigned 32-bit words. */
  readonly checksum1: number
  readonly checksum2: number
  /** The wal-index's change counter that belongs to this commit; unsigned 32 bits. */
  readonly iChange: number
}

/** Identity and times of a database file that had no WAL when it was read. Nanoseconds as decimal text. */
export interface FileStamp {
  readonly ino: string
  readonly size: number
  readonly mtimeNs: string
  readonly ctimeNs: string
}

/** A reading of a monotonic clock. Two readings of the same boot tell which was first, and only those. */
export interface Uptime {
  /** Names the boot of the machine; see boot. */
  readonly boot: string
  readonly ms: number
}

/** Whether `a` was read before `b`; undefined when nothing tells. */
export function readBefore(a: Uptime | undefined, b: Uptime | undefined): boolean | undefined {
  return a !== undefined && b !== undefined && a.boot === b.boot ? a.ms < b.ms : undefined
}

/** The same file, and nothing was written to it in between. */
export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}

/** The same commit of the same WAL cycle. Pragmas that write nothing let the change counter grow, so it does not count. */
function sameCommit(a: WalCursor, b: WalCursor): boolean {
  if (a.frames !== b.frames || a.salt1 !== b.salt1 || a.salt2 !== b.salt2) return false
  return a.checksum1 === b.checksum1 && a.checksum2 === b.checksum2
}

/** Whether two looks at a source saw the same state. */
export function sameState(a: Provenance['source'], b: Provenance['source']): boolean {
  if ('cursor' in a) return 'cursor' in b && sameCommit(a.cursor, b.cursor)
  return 'stamp' in b && sameStamp(a.stamp, b.stamp)
}

export interface Provenance {
  readonly version: 1
  /** Name and version of the program that wrote the object. */
  readonly program: string
  /** Identifies one writer (one replica of one running daemon): random hex. */
  readonly writer: string
  /** The machine it ran on, for people. */
  readonly host?: string | undefined
  readonly kind: 'snapshot' | 'segment'
  readonly pageSize: number
  /** Size of the database in pages at the state that the object stands for. */
  readonly pageCount: number
  /** When the newest commit in it was observed: milliseconds since 1970, the daemon's clock. */
  readonly observedAtMs: number
  /**
   * A reading of the machine's monotonic clock at which the source was known to be in this state or in an earlier one: what another
   * object of the same boot was later seen to hold, this one holds at most as much of.
   */
  readonly uptime?: Uptime | undefined
  /** The source's state: a place in its WAL, or a file that had none. */
  readonly source: { readonly cursor: WalCursor } | { readonly stamp: FileStamp }
  /** Uncompressed bytes of the object. */
  readonly bytes?: number | undefined
  /** The object's own key: an object under another name has been swapped or copied. */
  readonly key?: string | undefined
  /**
   * On the segment at offset 0, so that a missing last segment of the index before it is noticed, and on a snapshot, for whoever goes on
   * behind it: where that index ended.
   */
  readonly previous?: { readonly index: number; readonly offset: number } | undefined
  /**
   * On a snapshot: uncompressed bytes of the overlay, the segment at offset 0 of the snapshot's index that makes the copy exact.
   * Absent or 0 when the snapshot is one commit by itself.
   */
  readonly overlayBytes?: number | undefined
}

export function encodeProvenance(provenance: Provenance): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(provenance))
}

/** Undefined when the bytes are not provenance that this version understands; never throws. */
export function parseProvenance(bytes: Uint8Array): Provenance | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
  return isProvenance(value) ? value : undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const isUint32 = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

const isUptime = (value: unknown): value is Uptime =>
  isRecord(value) && typeof value.boot === 'string' && Number.isFinite(value.ms)

function isProvenance(value: unknown): value is Provenance {
  if (!isRecord(value) || value.version !== 1) return false
  if (typeof value.program !== 'string' || typeof value.writer !== 'string') return false
  if (value.host !== undefined && typeof value.host !== 'string') return false
  if (value.uptime !== undefined && !isUptime(value.uptime)) return false
  if (value.kind !== 'snapshot' && value.kind !== 'segment') return false
  if (!isCount(value.pageSize) || !isUint32(value.pageCount) || !isCount(value.observedAtMs)) return false
  if ((value.observedAtMs as number) > MOMENT_MAX_MS) return false
  if (value.key !== undefined && typeof value.key !== 'string') return false
  if (value.bytes !== undefined && !isCount(value.bytes)) return false
  if (value.overlayBytes !== undefined && !isCount(value.overlayBytes)) return false
  const { previous } = value
  if (previous !== undefined && !(isRecord(previous) && isUint32(previous.index) && isCount(previous.offset)))
    return false
  if (!isRecord(value.source)) return false
  const { cursor, stamp } = value.source
  if (isRecord(cursor)) {
    const { salt1, salt2, frames, checksum1, checksum2, iChange } = cursor
    return [salt1, salt2, frames, checksum1, checksum2, iChange].every(isUint32)
  }
  if (isRecord(stamp)) {
    const times = [stamp.ino, stamp.mtimeNs, stamp.ctimeNs]
    return isCount(stamp.size) && times.every((time) => typeof time === 'string' && /^\d+$/.test(time))
  }
  return false
}
