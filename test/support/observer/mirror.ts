// A page-exact copy of a followed database, kept in memory from nothing but what the follower tells its sinks. After lost continuity
// it takes a new copy, as a replica without digests does.

import type { Sink, SourceState } from '../../../src/replicate/sink.js'

interface Batch {
  readonly pages: Map<number, Buffer>
  readonly state: SourceState
}

export class Mirror implements Sink {
  private image = Buffer.alloc(0)
  private bytes = 0
  private staged: Map<number, Buffer> | undefined
  /** Batches that came before the copy under them was complete. */
  private early: Batch[] | undefined = []
  private lastSalts = ''
  state: SourceState | undefined
  /** Restarts of the WAL between two states, with what was put in between. */
  crossings = 0
  commits = 0
  readonly losses: string[] = []
  /** Called for each loss. */
  onLost: () => void = () => {}
  /** Called after each batch that was applied. */
  onCommit: () => void = () => {}

  begin(): void {
    this.staged = new Map()
  }

  put(page: number, image: Uint8Array): void {
    if (!this.staged) throw new Error('put without begin')
    this.staged.set(page, Buffer.from(image))
  }

  commit(state: SourceState): void {
    const batch = { pages: this.staged ?? new Map<number, Buffer>(), state }
    this.staged = undefined
    if (this.early) this.early.push(batch)
    else this.apply(batch)
  }

  lost(reason: string): void {
    this.staged = undefined
    this.early = []
    this.state = undefined
    this.losses.push(reason)
    this.onLost()
  }

  /** What was put before counts for nothing; a copy begins. */
  beginCopy(): void {
    this.early = []
    this.staged = undefined
    this.bytes = 0
    this.state = undefined
  }

  appendCopied(block: Uint8Array): void {
    this.resize(this.bytes + block.length)
    this.image.set(block, this.bytes - block.length)
  }

  /** The copy is complete once `changes` are laid over it; what came since is applied. */
  endCopy(state: SourceState, changes: Iterable<readonly [page: number, image: Buffer]>): void {
    const early = this.early ?? []
    this.early = undefined
    this.apply({ pages: new Map(changes), state })
    for (const batch of early) this.apply(batch)
  }

  get complete(): boolean {
    return this.state !== undefined
  }

  /** The database as the mirror holds it. */
  contents(): Buffer {
    return this.image.subarray(0, this.bytes)
  }

  private apply({ pages, state }: Batch): void {
    const { pageSize, pageCount } = state
    // Pages beyond the size are put too when a larger database shrank within the batch.
    this.resize(pageCount * pageSize)
    for (const [page, image] of pages) if (page <= pageCount) this.image.set(image, (page - 1) * pageSize)
    if ('cursor' in state.source) {
      const { salt1, salt2 } = state.source.cursor
      const salts = `${salt1}:${salt2}`
      if (this.state && this.lastSalts !== salts) this.crossings++
      this.lastSalts = salts
    }
    this.state = state
    this.commits++
    this.onCommit()
  }

  private resize(bytes: number): void {
    if (bytes > this.image.length) {
      const larger = Buffer.alloc(Math.max(bytes, this.image.length * 2))
      this.image.copy(larger, 0, 0, this.bytes)
      this.image = larger
    } else if (bytes > this.bytes) {
      this.image.fill(0, this.bytes, bytes)
    }
    this.bytes = bytes
  }
}
