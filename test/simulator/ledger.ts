// Every state that the model database was ever in, found by what an observer can know of it: a place in a WAL's chain, or the stamp
// of a file without a WAL. Several states can share such a name where names are weak (an empty WAL has no salts of its own).

import type { FileStamp, WalCursor } from '../../src/model/provenance.js'
import { type DatabaseFile, type Disk, type IndexHeader, PAGE_BYTES, stampKey } from './disk.js'
import type { Scheduler } from './scheduler.js'

export interface State {
  readonly id: number
  readonly pages: readonly Buffer[]
}

const cursorKey = (
  at: { salt1: number; salt2: number; checksum1: number; checksum2: number },
  frames: number,
): string =>
  frames === 0 ? `${at.salt1}.${at.salt2}` : `${at.salt1}.${at.salt2}.${frames}.${at.checksum1}.${at.checksum2}`

export class Ledger {
  current: State = { id: 0, pages: [] }
  private readonly byName = new Map<string, State[]>()
  private versions = 0

  constructor(private readonly scheduler: Scheduler) {}

  private name(key: string, state: State): void {
    const states = this.byName.get(key)
    if (!states) this.byName.set(key, [state])
    else if (states.at(-1) !== state) states.push(state)
  }

  committed(pages: readonly Buffer[], header: IndexHeader): void {
    const { current } = this
    // Recovery finds what was there.
    const same = pages.length === current.pages.length && differenceFrom(current, pages) === undefined
    if (!same) this.current = { id: current.id + 1, pages: [...pages] }
    this.name(cursorKey(header, header.mxFrame), this.current)
  }

  /** The WAL is empty now; the state stays. */
  restarted(header: IndexHeader): void {
    this.name(cursorKey(header, 0), this.current)
  }

  /** The file was written: should its WAL go, this is its name. */
  stamped(file: DatabaseFile): void {
    this.name(stampKey(file), this.current)
  }

  /** A new database without a WAL. */
  placed(disk: Disk, pageCount: number): void {
    const pages = Array.from({ length: pageCount }, (_, at) => this.newPage(at + 1, pageCount))
    const file = disk.placeDatabase(pages)
    this.current = { id: this.current.id + 1, pages: [...pages] }
    this.stamped(file)
    this.scheduler.note(`disk: database ${this.current.id} placed, ${pageCount} pages`)
  }

  /** A page with content that no page had before. */
  newPage(page: number, pageCount: number): Buffer {
    const image = Buffer.alloc(PAGE_BYTES)
    if (page === 1) {
      image.write('SQLite format 3\0', 0, 'latin1')
      image.writeUInt16BE(PAGE_BYTES, 16)
      image[18] = 2
      image[19] = 2
      image.writeUInt32BE(pageCount, 28)
    }
    image.writeUInt32BE(++this.versions, 104)
    image.writeUInt32BE(page, 108)
    image.writeUInt32BE(this.versions, PAGE_BYTES - 4)
    return image
  }

  /** What `source`, an object's provenance, can stand for. */
  statesOf(source: { readonly cursor: WalCursor } | { readonly stamp: FileStamp }): readonly State[] {
    const key =
      'cursor' in source
        ? cursorKey(source.cursor, source.cursor.frames)
        : `${source.stamp.ino}:${source.stamp.size}:${source.stamp.mtimeNs}`
    return this.byName.get(key) ?? []
  }
}

/** Undefined when the pages are this state, else what is different. */
export function differenceFrom(state: State, pages: readonly Uint8Array[]): string | undefined {
  if (pages.length !== state.pages.length) return `${pages.length} pages instead of ${state.pages.length}`
  // A page that nothing ever put there is a hole.
  const at = state.pages.findIndex((page, i) => !pages[i] || !page.equals(pages[i]))
  return at < 0 ? undefined : `page ${at + 1} differs`
}
