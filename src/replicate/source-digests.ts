// Digests of every page of a live database at one commit, read again from the source. Like a snapshot (see copy): the pages of the file are
// read in whatever version is there while the follower goes on, and what changes meanwhile counts instead. What is kept is digests (see
// page-digests) and, in memory, one bit a page: 0.3 MB for 10 GB. The follower's pins are its own: nothing is held for longer because
// of this.
//
// After `read` the digests follow the source from commit to commit, until `close`.

import { type TimerClock, wait } from '../clock.js'
import { LitestreamError } from '../errors.js'
import type { Follower } from './follower.js'
import { loadPageHash, PageDigests, type PageHash } from './page-digests.js'
import type { Sink, SourceState } from './sink.js'

const BLOCK_BYTES = 1 << 20

/** Work in small pieces that takes its share of the time and no more. */
export class Pace {
  private sinceMs: number

  /** `share` of the time may be worked, 1 for all of it. */
  constructor(
    private readonly clock: TimerClock,
    private readonly share: number,
  ) {
    this.sinceMs = clock.monotonic()
  }

  async rest(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const workedMs = Math.max(0, this.clock.monotonic() - this.sinceMs)
    // Waiting for storage counts as work, but it must not add up to long rests.
    const restMs = Math.min(50, workedMs * (1 / this.share - 1))
    if (restMs >= 1) await wait(this.clock, restMs, signal)
    this.sinceMs = this.clock.monotonic()
    signal.throwIfAborted()
  }
}

export class SourceDigests implements Sink {
  private pages: PageDigests | undefined
  /** One bit a page: it changed since reading began, or was newer in the WAL; what the file says does not count. */
  private changed = new Uint8Array(0)
  private hash: PageHash | undefined
  private newest: SourceState | undefined
  private inBatch = false
  private readonly lossOfSight = new AbortController()

  constructor(
    private readonly follower: Pick<Follower, 'beginCopy' | 'leave'>,
    private readonly pace: Pace,
    private readonly directory?: string | undefined,
  ) {}

  /** The state that the digests belong to; undefined in the midst of a batch, and before the first. */
  get state(): SourceState | undefined {
    return this.inBatch || this.lossOfSight.signal.aborted ? undefined : this.newest
  }

  /** Read every page once; used once. Throws SOURCE when continuity was lost meanwhile. */
  async read(cancel: AbortSignal): Promise<void> {
    const hash = await loadPageHash()
    this.hash = hash
    const signal = AbortSignal.any([cancel, this.lossOfSight.signal])
    const fromWal = {
      begin: () => {
        this.pages?.release()
        this.pages = undefined
        this.changed = new Uint8Array(0)
      },
      put: (page: number, image: Uint8Array) => this.put(page, image),
    }
    const { state, read } = await this.follower.beginCopy(this, fromWal, signal)
    this.newest ??= state
    const { pageSize } = state
    if (!this.pages) this.pages = this.newPages(pageSize)
    const { pages } = this
    if (pages.pageCount < state.pageCount) pages.resize(state.pageCount)
    const totalBytes = state.pageCount * pageSize
    const block = Buffer.alloc(Math.max(BLOCK_BYTES, pageSize))
    for (let position = 0; position < totalBytes; position += block.length) {
      const length = Math.min(block.length, totalBytes - position)
      const got = await read(block, length, position)
      signal.throwIfAborted()
      if (got < length) block.fill(0, got, length)
      for (let at = 0; at < length; at += pageSize) {
        const page = (position + at) / pageSize + 1
        if (!this.isChanged(page)) pages.set(page, hash(block.subarray(at, at + pageSize)))
      }
      await this.pace.rest(signal)
    }
  }

  /** The digests at `state`, which must be there. They stay as they are, and are the caller's, to be released by it. */
  frozen(): PageDigests {
    const { pages, newest, hash } = this
    if (!pages || !newest || !hash || this.inBatch) {
      throw new LitestreamError('SOURCE', 'the source is in the midst of a commit')
    }
    const frozen = pages.copy(newest.pageCount)
    try {
      fillHoles(frozen, hash)
      return frozen
    } catch (error) {
      frozen.release()
      throw error
    }
  }

  begin(): void {
    this.inBatch = true
  }

  put(page: number, image: Uint8Array): void {
    if (this.lossOfSight.signal.aborted) return
    try {
      this.pages ??= this.newPages(image.length)
      this.pages.set(page, (this.hash as PageHash)(image))
      this.mark(page)
    } catch (error) {
      // Only this reading is over; the follower and whoever else listens go on.
      this.lossOfSight.abort(error)
    }
  }

  commit(state: SourceState): void {
    this.inBatch = false
    this.newest = state
  }

  lost(reason: string): void {
    this.lossOfSight.abort(new LitestreamError('SOURCE', reason))
  }

  /** Aborts when continuity was lost; its reason is the error. */
  get signal(): AbortSignal {
    return this.lossOfSight.signal
  }

  close(): void {
    this.follower.leave(this)
    this.pages?.release()
    this.pages = undefined
    this.changed = new Uint8Array(0)
  }

  private newPages(pageSize: number): PageDigests {
    return new PageDigests(pageSize, 0, { directory: this.directory })
  }

  private isChanged(page: number): boolean {
    return (((this.changed[page >> 3] ?? 0) >> (page & 7)) & 1) === 1
  }

  private mark(page: number): void {
    if (page >> 3 >= this.changed.length) {
      const larger = new Uint8Array(Math.max((page >> 3) + 1, Math.ceil(this.changed.length * 1.25), 64))
      larger.set(this.changed)
      this.changed = larger
    }
    this.changed[page >> 3] = (this.changed[page >> 3] as number) | (1 << (page & 7))
  }
}

/** Pages that nobody ever wrote (the one that SQLite keeps for its locks) read as zeros. */
export function fillHoles(pages: PageDigests, hash: PageHash): void {
  pages.fillUnknown(hash(new Uint8Array(pages.pageSize)))
}
