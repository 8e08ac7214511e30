// Writes pages to the database file that a restore builds. Pages wait in memory until there are many of them, a later version
// replacing an earlier one, and are then written in ascending order, neighbours with one call: restoring thousands of
// small segments writes each hot page once in a while instead of once per segment.
//
// Sizes follow SQLite, which applies a WAL as a whole and cuts or extends the file at its end: pages beyond the database's size at
// the end of an index are gone for good, and read as zeros when the database grows over them again. Where it shrinks and grows within
// one index they are kept.
//
// Memory: twice ARENA_BYTES, or what the caller allows, whatever the size of the database.

import { PageMap } from '../model/page-map.js'
import { type PageSink, PIECE_BYTES_MAX } from './index-chain.js'
import type { RestoreOutput } from './pipeline.js'

const ARENA_BYTES = 32 * 1024 * 1024
const FIRST_ARENA_BYTES = 2 * 1024 * 1024

/** Isolated pages that are written at the same time. */
const WRITES_IN_FLIGHT = 16

export class PageWriter implements PageSink {
  private arena = Buffer.allocUnsafeSlow(FIRST_ARENA_BYTES)
  private readonly slotCount: number
  private slots = new PageMap()
  /** Highest page with content, in the file or waiting; not the file's size. */
  private highestPage: number

  constructor(
    private readonly file: RestoreOutput,
    readonly pageSize: number,
    /** Pages that the file has. */
    pageCount: number,
    arenaBytes = ARENA_BYTES,
  ) {
    this.slotCount = Math.floor((arenaBytes - PIECE_BYTES_MAX) / pageSize)
    this.highestPage = pageCount
  }

  put(page: number, bytes: Uint8Array): void {
    let slot = this.slots.get(page)
    if (slot === undefined) {
      slot = this.slots.size
      this.slots.set(page, slot)
      if (page > this.highestPage) this.highestPage = page
    }
    const at = slot * this.pageSize
    if (at + this.pageSize > this.arena.length) {
      const larger = Buffer.allocUnsafeSlow(this.arena.length * 2)
      this.arena.copy(larger)
      this.arena = larger
    }
    this.arena.set(bytes, at)
  }

  makeRoom(): Promise<void> | undefined {
    return this.slots.size >= this.slotCount ? this.flush() : undefined
  }

  /** An index has ended with a database of `pageCount` pages. */
  async endIndex(pageCount: number): Promise<void> {
    if (this.highestPage <= pageCount) return
    await this.flush(pageCount)
    await this.file.truncate(pageCount * this.pageSize)
    this.highestPage = pageCount
  }

  /** Write what waits and give the file its size. */
  async finish(pageCount: number): Promise<void> {
    await this.flush(pageCount)
    await this.file.truncate(pageCount * this.pageSize)
  }

  private async flush(pageMax = 0xffffffff): Promise<void> {
    const { pageSize, arena } = this
    const pages = this.slots.sortedPages(pageMax)
    const ordered = Buffer.allocUnsafeSlow(pages.length * pageSize)
    for (let i = 0; i < pages.length; i++) {
      const from = (this.slots.get(pages[i] as number) as number) * pageSize
      arena.copy(ordered, i * pageSize, from, from + pageSize)
    }
    this.slots = new PageMap()

    let next = 0
    const writeRuns = async (): Promise<void> => {
      while (next < pages.length) {
        const first = next
        do next++
        while (next < pages.length && pages[next] === (pages[next - 1] as number) + 1)
        const position = ((pages[first] as number) - 1) * pageSize
        await writeAll(this.file, ordered.subarray(first * pageSize, next * pageSize), position)
      }
    }
    await Promise.all(Array.from({ length: WRITES_IN_FLIGHT }, writeRuns))
  }
}

/** Write all of `bytes`; the system may take less per call. */
export async function writeAll(file: RestoreOutput, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}
