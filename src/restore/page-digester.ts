// What a restore fills when only the digests of its pages are wanted: takes the place of the file, and keeps eight bytes a page instead
// of the pages (see page-digests).

import { LitestreamError } from '../errors.js'
import { loadPageHash, PageDigests, type PageHash } from '../replicate/page-digests.js'
import { fillHoles } from '../replicate/source-digests.js'
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from '../sqlite/database-header.js'
import type { RestoreOutput } from './pipeline.js'

export class PageDigester implements RestoreOutput {
  private pages: PageDigests | undefined
  /** The beginning of a page whose rest has not come yet, and where it lies; only the snapshot comes in pieces like that. */
  private rest = Buffer.alloc(0)
  private restAt = 0

  private constructor(
    private readonly hash: PageHash,
    private readonly breathe: () => Promise<void>,
    private readonly directory: string | undefined,
  ) {}

  /** `breathe` is called after every piece of work. */
  static async create(breathe: () => Promise<void>, directory?: string): Promise<PageDigester> {
    return new PageDigester(await loadPageHash(), breathe, directory)
  }

  async write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    this.take(bytes.subarray(offset, offset + length), position)
    await this.breathe()
    return { bytesWritten: length }
  }

  async truncate(bytes: number): Promise<void> {
    this.pages?.resize(bytes / this.pages.pageSize)
  }

  /** When the restore is done. What it gives is still ours: valid until `release`. */
  finish(): PageDigests {
    if (!this.pages || this.rest.length > 0)
      throw new LitestreamError('CORRUPT', 'what was restored is no whole database')
    fillHoles(this.pages, this.hash)
    return this.pages
  }

  release(): void {
    this.pages?.release()
  }

  private take(piece: Uint8Array, position: number): void {
    let bytes = piece
    let at = position
    if (this.rest.length > 0) {
      if (position !== this.restAt + this.rest.length) {
        throw new LitestreamError('CORRUPT', 'the snapshot ends in the middle of a page')
      }
      bytes = Buffer.concat([this.rest, piece])
      at = this.restAt
    }
    if (!this.pages && at === 0 && bytes.length >= DATABASE_HEADER_BYTES) {
      const pageSize = parseDatabaseHeader(Buffer.from(bytes.subarray(0, DATABASE_HEADER_BYTES)))?.pageSize
      if (pageSize === undefined) throw new LitestreamError('CORRUPT', 'what was restored does not begin as a database')
      this.pages = new PageDigests(pageSize, 0, { directory: this.directory })
    }
    const { pages } = this
    let done = 0
    if (pages) {
      const { pageSize } = pages
      for (; done + pageSize <= bytes.length; done += pageSize) {
        pages.set((at + done) / pageSize + 1, this.hash(bytes.subarray(done, done + pageSize)))
      }
    }
    this.rest = Buffer.from(bytes.subarray(done))
    this.restAt = at + done
  }
}
