// Checks that objects belong where they stand, as far as the objects themselves say it.
//
// Ours carry provenance: the object's own key (a swapped or copied one shows at once), the end of the index before (a missing last
// segment), the overlay's length, the size of the database. Objects of ours and of another program never meet in one
// generation, so one without provenance among others with it has been cut.
//
// The real Litestream's say nothing, but its indexes are cycles of one WAL, and SQLite adds 1 to salt-1 at each restart. So a salt that
// stays or falls back by a little is another index's object under this name. A salt that is somewhere else entirely can be
// right (SQLite draws new ones when a connection that never recovered the WAL begins an empty one): it is reported, not refused.
//
// What cannot be seen on replicas of the real one: the last segments of an index are missing, or the newest ones of all.

import type { Provenance } from '../model/provenance.js'
import type { StoredObject, StoredSegment, StoredSnapshot } from '../model/timeline.js'
import type { WalHeader } from '../sqlite/wal-format.js'
import { damaged, type IndexChain } from './index-chain.js'

/** How far a salt may lie behind and still count as one of the same WAL. 2^10 of 2^32: a false alarm once in four million. */
const SALT_NEIGHBOURHOOD = 1024

/** What was behind an object's frame. `trailer` without `provenance`: of a version that this program does not know. */
export interface Said {
  readonly trailer: boolean
  readonly provenance: Provenance | undefined
}

export class Lineage {
  private first: { readonly object: StoredObject; readonly trailer: boolean } | undefined
  private snapshotProvenance: Provenance | undefined

  /** The snapshot has been read: `bytes` uncompressed. */
  snapshot(object: StoredSnapshot, bytes: number, said: Said): void {
    const { provenance } = said
    this.own(object, bytes, said)
    this.snapshotProvenance = provenance
    if (provenance && !provenance.overlayBytes && bytes !== provenance.pageCount * provenance.pageSize) {
      throw damaged(object, `it holds ${bytes} bytes instead of ${provenance.pageCount} pages`)
    }
  }

  /** A segment has been applied: `bytes` uncompressed. `before` is the index before this one where the restore has used it. */
  segment(object: StoredSegment, bytes: number, said: Said, chain: IndexChain, before: IndexChain | undefined): void {
    const { provenance } = said
    if (bytes > 0 || said.trailer) this.own(object, bytes, said)
    if (!provenance) return
    if (bytes > 0 && provenance.pageCount !== chain.pageCount) {
      throw damaged(object, `it leaves a database of ${chain.pageCount} pages instead of ${provenance.pageCount}`)
    }
    const { previous } = provenance
    if (object.offset === 0 && previous && before) {
      if (previous.index !== before.index || previous.offset !== before.endOffset) {
        const stands = `it continues index ${previous.index} at offset ${previous.offset}`
        const text = `${stands}, but what is there of index ${before.index} ends at ${before.endOffset}: segments are missing`
        throw damaged(object, text)
      }
    }
    const overlayBytes = this.snapshotProvenance?.overlayBytes
    if (!before && object.offset === 0 && overlayBytes && overlayBytes !== bytes) {
      throw damaged(object, `it holds ${bytes} bytes, but the overlay of the snapshot has ${overlayBytes}`)
    }
  }

  private own(object: StoredObject, bytes: number, { trailer, provenance }: Said): void {
    this.first ??= { object, trailer }
    if (this.first.trailer !== trailer) {
      throw damaged(trailer ? this.first.object : object, 'its provenance has been cut off')
    }
    if (!provenance) return
    if (provenance.kind !== object.kind) throw damaged(object, `it is a ${provenance.kind}`)
    if (provenance.bytes !== undefined && provenance.bytes !== bytes) {
      throw damaged(object, `it holds ${bytes} bytes instead of ${provenance.bytes}`)
    }
    if (provenance.key !== undefined && provenance.key !== object.key) {
      throw damaged(object, `it was written as ${provenance.key}`)
    }
  }
}

/** Undefined, or how the WAL of an index does not follow that of the index before it. Throws where it cannot be right. */
export function judgeSalts(segment: StoredSegment, header: WalHeader, before: WalHeader): string | undefined {
  const growth = (header.salt1 - before.salt1) | 0
  if (growth === 1) return undefined
  if (growth <= 0 && growth > -SALT_NEIGHBOURHOOD) {
    throw damaged(
      segment,
      'its WAL is not younger than that of the index before it: it is the segment of another index',
    )
  }
  return `salt-1 grew by ${growth} instead of 1`
}
