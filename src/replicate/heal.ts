// Healing by comparison: continuity was lost, but it is known what every page looks like in the replica. The source is read as for a
// snapshot (see copy), each page is compared with its digest, and what differs, together with what changed meanwhile, is one
// changeset that leads from the replica's newest state to the source's. The commits between them are gone as restore points.

import { tooDifferent } from '../plan/resume-plan.js'
import { Changeset } from '../source/changeset.js'
import type { ChunkPool, SpoolBudget } from '../source/spool.js'
import type { DatabaseCopy } from './copy.js'
import { loadPageHash, type PageDigests } from './page-digests.js'
import type { Sink, SourceState } from './sink.js'

export interface Difference {
  /** From the replica's newest state to `state`; at least one page. The receiver's, to be cleared by it. */
  readonly changes: Changeset
  readonly state: SourceState
  readonly comparedPages: number
}

/**
 * Compare what the source holds with `known`. From the state of the result on `next` is told every change. A text when there is a
 * reason to begin a new generation instead. Throws SOURCE when continuity was lost meanwhile, LOCAL when the difference has no room here.
 */
export async function compareWithSource(
  copy: DatabaseCopy,
  known: PageDigests,
  next: Sink,
  options: {
    readonly pool: ChunkPool
    readonly spoolDirectory?: string | undefined
    readonly budget: SpoolBudget
  },
): Promise<Difference | string> {
  const hash = await loadPageHash()
  const changes = new Changeset(options.pool, options.spoolDirectory, options.budget)
  let result: Difference | string | undefined
  let firstPage: Buffer | undefined
  let page = 0
  const otherPageSize = (pageSize: number) => `the page size changed from ${known.pageSize} to ${pageSize}`
  try {
    const end = async (copied: { readonly state: SourceState; readonly changes: Changeset }) => {
      const { state } = copied
      try {
        if (state.pageSize !== known.pageSize) {
          result = otherPageSize(state.pageSize)
          return
        }
        const image = Buffer.alloc(state.pageSize)
        for (const changed of copied.changes.pages(state.pageCount)) {
          copied.changes.read(changed, image)
          changes.put(changed, image)
        }
        // Nothing differs: the segment still says where the source stands now, so that a restart can go on from there.
        if (changes.pages(state.pageCount).length === 0 && firstPage) changes.put(1, firstPage)
        result = { changes, state, comparedPages: page }
      } finally {
        copied.changes.clear()
      }
    }
    for await (const block of copy.pages(next, end, () => {})) {
      const { pageSize } = copy
      if (pageSize !== known.pageSize) return otherPageSize(pageSize)
      firstPage ??= Buffer.from(block.subarray(0, pageSize))
      for (let at = 0; at < block.length; at += pageSize) {
        const image = block.subarray(at, at + pageSize)
        if (hash(image) !== known.get(++page)) changes.put(page, image)
      }
      if (tooDifferent(changes.size, copy.bytes / pageSize, pageSize)) return 'most of the database is different'
    }
    return result ?? 'the source has no pages'
  } finally {
    if (typeof result !== 'object') changes.clear()
  }
}
