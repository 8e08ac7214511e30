// The last version of every page that changed between two cursors. Collects whole batches only: pages are staged by `put`, and
// the batch counts once its owner has said what state it ends at. The images live in a spool, so memory is bounded.

import { PageMap } from '../model/page-map.js'
import { type ChunkPool, Spool, type SpoolBudget } from './spool.js'

export class Changeset {
  private readonly slots = new PageMap()
  private spool: Spool | undefined

  constructor(
    private readonly pool: ChunkPool,
    private readonly spoolDirectory?: string | undefined,
    private readonly budget?: SpoolBudget | undefined,
  ) {}

  /** Bytes a page; 0 while nothing is in here. */
  get pageSize(): number {
    return this.spool?.pageSize ?? 0
  }

  /** Number of distinct pages. */
  get size(): number {
    return this.slots.size
  }

  get bytes(): number {
    return this.slots.size * this.pageSize
  }

  get spooledBytes(): number {
    return this.spool?.fileBytes ?? 0
  }

  put(page: number, image: Uint8Array): void {
    this.spool ??= new Spool(image.length, this.pool, this.spoolDirectory, this.budget)
    const slot = this.slots.get(page)
    if (slot === undefined) this.slots.set(page, this.spool.add(image))
    else this.spool.write(slot, image)
  }

  has(page: number): boolean {
    return this.slots.has(page)
  }

  /** Copies the page's image; false when the page is not in here. */
  read(page: number, into: Uint8Array): boolean {
    const slot = this.slots.get(page)
    if (slot === undefined) return false
    this.spool?.read(slot, into)
    return true
  }

  /** Page numbers up to `pageMax`, ascending. */
  pages(pageMax: number): Uint32Array {
    return this.slots.sortedPages(pageMax)
  }

  /** Forgets everything and gives memory and disk back. */
  clear(): void {
    this.slots.clear()
    this.spool?.clear()
    this.spool = undefined
  }
}
