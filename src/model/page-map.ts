// Page numbers to small integers (slots, frame numbers). Open addressing over two typed arrays: 16 bytes a page at the usual
// load instead of the hundred of a Map, because a VACUUM of a large database puts every one of its pages in here.

const EMPTY = 0
const INITIAL_CAPACITY = 64

export class PageMap {
  private keys = new Uint32Array(INITIAL_CAPACITY)
  private values = new Uint32Array(INITIAL_CAPACITY)
  private count = 0

  get size(): number {
    return this.count
  }

  /** `page` from 1. The value is an unsigned 32-bit integer. */
  set(page: number, value: number): void {
    if ((this.count + 1) * 2 > this.keys.length) this.grow()
    const at = this.find(page)
    if (this.keys[at] === EMPTY) {
      this.keys[at] = page
      this.count++
    }
    this.values[at] = value
  }

  get(page: number): number | undefined {
    const at = this.find(page)
    return this.keys[at] === EMPTY ? undefined : this.values[at]
  }

  has(page: number): boolean {
    return this.keys[this.find(page)] !== EMPTY
  }

  /** All page numbers up to `pageMax`, ascending. */
  sortedPages(pageMax = 0xffffffff): Uint32Array {
    const pages = this.keys.filter((page) => page !== EMPTY && page <= pageMax)
    return pages.sort()
  }

  clear(): void {
    if (this.keys.length > INITIAL_CAPACITY) {
      this.keys = new Uint32Array(INITIAL_CAPACITY)
      this.values = new Uint32Array(INITIAL_CAPACITY)
    } else {
      this.keys.fill(EMPTY)
    }
    this.count = 0
  }

  private find(page: number): number {
    const mask = this.keys.length - 1
    let at = Math.imul(page, 0x9e3779b1) >>> 0
    at = (at ^ (at >>> 15)) & mask
    while (this.keys[at] !== EMPTY && this.keys[at] !== page) at = (at + 1) & mask
    return at
  }

  private grow(): void {
    const { keys, values } = this
    this.keys = new Uint32Array(keys.length * 2)
    this.values = new Uint32Array(keys.length * 2)
    for (let i = 0; i < keys.length; i++) {
      const page = keys[i] as number
      if (page === EMPTY) continue
      const at = this.find(page)
      this.keys[at] = page
      this.values[at] = values[i] as number
    }
  }
}
