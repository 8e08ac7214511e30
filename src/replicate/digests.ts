// What a replica's newest position holds, as digests of pages, so that after lost continuity the source can be compared with it without
// reading the replica. They change only when an upload was acknowledged, so that at any moment they describe exactly the newest object;
// a page of which that cannot be said counts as unknown and as different from anything.
//
// They are worth less than replication: where they cannot be kept, they are forgotten, which is said, and replication goes on.

import type { Logger } from '../logger.js'
import { loadPageHash, PageDigests, type PageDigestsOptions, type PageHash } from './page-digests.js'
import type { SourceState } from './sink.js'

/** The object that digests describe: the newest one of the replica, by its key and by the state that its provenance tells. */
export interface Described {
  readonly generation: string
  readonly key: string
  readonly source: SourceState['source']
}

/** A segment that is being uploaded. */
export interface StagedSegment {
  put(page: number, image: Uint8Array): void
  /** It is in the replica, and leaves a database of so many pages. */
  acknowledged(described: Described, pageCount: number): void
}

/** What one replica holds. Empty until a snapshot went through it, or digests that were kept were taken over. */
export class ReplicaDigests {
  private pages: PageDigests | undefined
  private at: Described | undefined
  private hash: PageHash | undefined

  constructor(
    private readonly log: Logger,
    private readonly options: PageDigestsOptions = {},
  ) {}

  /** Undefined while nothing is known for certain. */
  get known(): { readonly pages: PageDigests; readonly at: Described } | undefined {
    return this.pages && this.at ? { pages: this.pages, at: this.at } : undefined
  }

  /** Nothing is known any more; a snapshot that is under way counts for nothing. */
  forget(): void {
    this.pages?.release()
    this.pages = undefined
    this.at = undefined
  }

  /** Digests that somebody kept, after it was made sure that they describe the newest object. */
  async adopt(pages: PageDigests, at: Described): Promise<void> {
    this.hash ??= await loadPageHash()
    this.forget()
    this.pages = pages
    this.at = at
  }

  /** Pass the pages of a new generation's snapshot on. `pageSizeOf` is asked when the first of them came. */
  async *ofSnapshot(pieces: AsyncIterable<Buffer>, pageSizeOf: () => number): AsyncGenerator<Buffer> {
    const hash = await loadPageHash()
    this.hash = hash
    this.forget()
    let page = 0
    let pages: PageDigests | undefined
    for await (const piece of pieces) {
      const pageSize = pageSizeOf()
      if (!pages) this.pages = pages = new PageDigests(pageSize, 0, this.options)
      if (this.pages === pages) {
        this.orForget(() => {
          for (let at = 0; at < piece.length; at += pageSize)
            pages?.set(++page, hash(piece.subarray(at, at + pageSize)))
        })
      }
      yield piece
    }
  }

  /** A snapshot is in the replica; `at` is the newest object now. */
  snapshotAcknowledged(at: Described, pageCount: number): void {
    if (!this.pages) return
    this.at = at
    this.orForget(() => this.pages?.resize(pageCount))
  }

  /** A newer object stands for the same state. */
  closedBy(key: string): void {
    if (this.at) this.at = { ...this.at, key }
  }

  /** For the pages of a segment as they are encoded; undefined where nothing is known that they could be added to. */
  stage(pageCountMax: number): StagedSegment | undefined {
    const { pages, hash } = this
    if (!pages || !hash) return undefined
    const numbers = new Uint32Array(pageCountMax)
    const digests = new BigUint64Array(pageCountMax)
    let count = 0
    return {
      put(page, image) {
        numbers[count] = page
        digests[count++] = hash(image)
      },
      acknowledged: (described, pageCount) => {
        if (this.pages !== pages) return
        if (this.at) this.at = described
        this.orForget(() => {
          pages.resize(pageCount)
          for (let i = 0; i < count; i++) pages.set(numbers[i] as number, digests[i] as bigint)
        })
      },
    }
  }

  private orForget(keep: () => void): void {
    try {
      keep()
    } catch (error) {
      this.forget()
      this.log.warn('page digests are given up; lost continuity would begin a new generation', { error })
    }
  }
}
