// An exact snapshot without holding the source still. The pages of the file are read one after the other, each in the version that
// is there, while the follower goes on; what changes meanwhile is collected. At the end the copy with those changes laid over it is
// exactly the state at that moment. Pages that only the WAL had when the copy began are put in place while copying.
//
// Source: ARCHITECTURE.md, "Snapshots are exact".

import { LitestreamError } from '../errors.js'
import { Changeset } from '../source/changeset.js'
import type { ChunkPool, SpoolBudget } from '../source/spool.js'
import type { Follower } from './follower.js'
import type { Sink, SourceState } from './sink.js'

const BLOCK_BYTES = 1 << 20

/** What a finished copy needs on top of its pages: nothing when nobody wrote meanwhile. */
export interface CopyEnd {
  readonly state: SourceState
  /** The receiver's from now on, to be cleared by it. */
  readonly changes: Changeset
}

/** One attempt; used once. `close` gives everything back, also after a failure. */
export class DatabaseCopy {
  private readonly abort = new AbortController()
  private overlay: Changeset | undefined
  private changes: Changeset | undefined
  private sink: Sink | undefined
  /** Uncompressed bytes of the copy, once it has begun. */
  bytes = 0
  /** Once it has begun. */
  pageSize = 0

  constructor(
    private readonly follower: Follower,
    private readonly pool: ChunkPool,
    private readonly spoolDirectory: string | undefined,
    signal: AbortSignal,
    private readonly budget?: SpoolBudget | undefined,
  ) {
    if (signal.aborted) this.abort.abort(signal.reason)
    else
      signal.addEventListener('abort', () => this.abort.abort(signal.reason), { once: true, signal: this.abort.signal })
  }

  /**
   * The pages of the copy, in order, in pieces of whole pages. `end` is called before the last piece counts as read, with the state
   * that copy and changes together are; from that state on `next` is told every change. Throws SOURCE when continuity was lost meanwhile.
   */
  async *pages(
    next: Sink,
    end: (copy: CopyEnd) => Promise<void>,
    progress: (done: number, total: number) => void,
  ): AsyncGenerator<Buffer> {
    const { pool, spoolDirectory } = this
    const overlay = new Changeset(pool, spoolDirectory, this.budget)
    const changes = new Changeset(pool, spoolDirectory, this.budget)
    this.overlay = overlay
    this.changes = changes
    const sink: Sink = {
      begin: () => {},
      put: (page, image) => {
        try {
          if (!this.abort.signal.aborted) changes.put(page, image)
        } catch (error) {
          // Only this copy is over; the follower and whoever else listens go on.
          this.abort.abort(error)
        }
      },
      commit: () => {},
      lost: (reason) => this.abort.abort(new LitestreamError('SOURCE', `the copy has to be taken again: ${reason}`)),
    }
    this.sink = sink
    const { signal } = this.abort
    const fromWal = { begin: () => overlay.clear(), put: (page: number, image: Uint8Array) => overlay.put(page, image) }
    const start = await this.follower.beginCopy(sink, fromWal, signal)
    const { pageSize } = start.state
    const totalBytes = start.state.pageCount * pageSize
    this.pageSize = pageSize
    this.bytes = totalBytes
    const block = Buffer.alloc(Math.max(pageSize, Math.min(BLOCK_BYTES, totalBytes)))
    for (let position = 0; position < totalBytes; position += block.length) {
      const length = Math.min(block.length, totalBytes - position)
      const got = await start.read(block, length, position)
      signal.throwIfAborted()
      // Past the end of the file: pages that only the WAL has, or that nobody ever wrote.
      if (got < length) block.fill(0, got, length)
      for (let at = 0; at < length; at += pageSize) {
        overlay.read((position + at) / pageSize + 1, block.subarray(at, at + pageSize))
      }
      progress(position + length, totalBytes)
      yield block.subarray(0, length)
    }
    const state = await this.follower.endCopy(sink, next, signal)
    signal.throwIfAborted()
    this.changes = undefined
    await end({ state, changes })
  }

  close(): void {
    this.abort.abort(new LitestreamError('ABORTED', 'the copy was closed'))
    if (this.sink) this.follower.leave(this.sink)
    this.overlay?.clear()
    this.changes?.clear()
  }
}
