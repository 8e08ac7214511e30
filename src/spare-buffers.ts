// Buffers of one size that are used again. Large buffers that come and go make the garbage collector run for each few of them (it
// counts memory outside of its heap), which under load cost more than the work that was done in them. Whatever is spare for some
// seconds is given back to the system, all at once, so that an idle process is small.

/** Without any use, for so long, and all are given back. */
const KEEP_MS = 5000

export class SpareBuffers {
  private readonly spare: Buffer[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(
    readonly bytesEach: number,
    /** More than these are not kept. */
    private readonly countMax: number,
  ) {}

  /** Its content is anything. */
  take(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(this.bytesEach)
  }

  /** Nobody else may use it any more. Buffers that did not come from here are left to the garbage collector. */
  give(buffer: Buffer): void {
    if (buffer.length !== this.bytesEach || this.spare.length >= this.countMax) return
    this.spare.push(buffer)
    if (this.timer) this.timer.refresh()
    else this.timer = setTimeout(() => this.giveBack(), KEEP_MS).unref()
  }

  private giveBack(): void {
    this.timer = undefined
    this.spare.length = 0
  }
}
