// Applies the segments of a plan to the file that already holds the snapshot: one chain of checks per index, what ends an index,
// and the size of the database at the end.

import { LitestreamError } from '../errors.js'
import { segmentKey } from '../model/layout.js'
import type { StoredSegment } from '../model/timeline.js'
import type { RestorePlan } from '../plan/restore-plan.js'
import type { WalHeader } from '../sqlite/wal-format.js'
import { damaged, FrameBuffer, IndexChain } from './index-chain.js'
import { judgeSalts, type Lineage, type Said } from './lineage.js'
import { PageWriter } from './page-writer.js'
import type { RestoreOutput } from './pipeline.js'

/** The snapshot as it was read. */
export interface Base {
  readonly bytes: number
  /** Undefined where no database header is: in an empty snapshot (the database was all in its WAL), or in one that is none. */
  readonly pageSize: number | undefined
}

export interface ApplierOptions {
  readonly onDoubt?: ((text: string) => void) | undefined
  readonly onIndex?: ((index: number) => void) | undefined
  readonly budgetBytes?: number | undefined
}

export class SegmentApplier {
  private readonly buffer = new FrameBuffer()
  private readonly lastIndex: number | undefined
  private pageSize: number | undefined
  private pageCount: number | undefined
  private writer: PageWriter | undefined
  private chain: IndexChain | undefined
  private before: IndexChain | undefined
  private headerBefore: WalHeader | undefined

  /** `limitOffset`: in the last index nothing from this offset on counts (see last-commit). */
  constructor(
    private readonly plan: RestorePlan,
    private readonly base: Base,
    private readonly file: RestoreOutput,
    private readonly lineage: Lineage,
    private readonly limitOffset: number | undefined,
    private readonly options: ApplierOptions,
  ) {
    if (base.bytes > 0 && base.pageSize === undefined) {
      throw damaged(plan.snapshot, 'its content is not a SQLite database')
    }
    this.pageSize = base.pageSize
    this.lastIndex = plan.segments.at(-1)?.index
  }

  /** `said` is asked when the content has been read to its end. */
  async apply(segment: StoredSegment, content: AsyncIterable<Uint8Array>, said: () => Said): Promise<void> {
    if (this.chain?.index !== segment.index) await this.beginIndex(segment.index)
    const chain = this.chain as IndexChain
    const startOffset = chain.endOffset
    await chain.apply(segment, content)
    this.lineage.segment(segment, chain.endOffset - startOffset, said(), chain, this.before)
    if (said().trailer) {
      if (segment.offset < startOffset) throw damaged(segment, `the segment before it reaches to ${startOffset}`)
      if (chain.committedOffset < chain.endOffset) throw damaged(segment, 'its last transaction is not complete')
    } else if (segment.offset === 0 && chain.header && this.headerBefore) {
      const doubt = judgeSalts(segment, chain.header, this.headerBefore)
      if (doubt) this.options.onDoubt?.(`${segment.key}: ${doubt}`)
    }
  }

  /** Everything has been applied: writes what waits, cuts the file to its size. */
  async finish(): Promise<{ pageSize: number; pageCount: number }> {
    await this.endIndex()
    const { plan, base, pageSize } = this
    if (pageSize === undefined) throw damaged(plan.segments.at(-1) ?? plan.snapshot, 'there is no database in it')
    const pageCount = this.pageCount ?? base.bytes / pageSize
    if (!Number.isInteger(pageCount)) {
      throw damaged(plan.snapshot, `it holds ${base.bytes} bytes, which is no number of pages`)
    }
    await this.writer?.finish(pageCount)
    return { pageSize, pageCount }
  }

  private async beginIndex(index: number): Promise<void> {
    await this.endIndex()
    const limitOffset = index === this.lastIndex ? this.limitOffset : undefined
    const openSink = (header: WalHeader, segment: StoredSegment): PageWriter => this.openWriter(header, segment)
    this.chain = new IndexChain(this.plan.generation, index, this.buffer, openSink, limitOffset)
  }

  private async endIndex(): Promise<void> {
    const { chain } = this
    if (!chain) return
    const mayBeCut = chain.index === this.lastIndex && this.limitOffset !== undefined
    if (chain.committedOffset < chain.endOffset && !mayBeCut) {
      const missing = segmentKey(this.plan.generation, chain.index, chain.endOffset)
      const text = `${missing} is missing: the last transaction of its index is not complete`
      throw new LitestreamError('CORRUPT', `${text}; use another replica or another point in time`)
    }
    if (chain.pageCount !== undefined) {
      await this.writer?.endIndex(chain.pageCount)
      this.pageCount = chain.pageCount
    }
    this.headerBefore = chain.header ?? this.headerBefore
    this.before = chain
    this.options.onIndex?.(chain.index)
  }

  private openWriter(header: WalHeader, segment: StoredSegment): PageWriter {
    if (this.pageSize !== undefined && header.pageSize !== this.pageSize) {
      throw damaged(segment, `its pages have ${header.pageSize} bytes, those before it ${this.pageSize}`)
    }
    this.pageSize = header.pageSize
    const pageCount = Math.ceil(this.base.bytes / header.pageSize)
    this.writer ??= new PageWriter(this.file, header.pageSize, pageCount, this.options.budgetBytes)
    return this.writer
  }
}
