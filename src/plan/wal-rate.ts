// How fast a WAL grows: bytes a second, the fastest of late, so that a burst is known from its beginning. Pure; the caller brings
// the time.

const HALF_LIFE_MS = 300
/** Growth is seen in looks some 20 ms apart; after a pause it is taken to have come in as short a time. */
const SPAN_MS_MIN = 10
const SPAN_MS_MAX = 40

export class WalRate {
  private bytesPerSecondThen = 0
  private thenMs = 0
  private framesThen = 0

  get bytesPerSecond(): number {
    return this.bytesPerSecondThen
  }

  /** `frames` in the current cycle; fewer than before means that it was restarted. */
  see(frames: number, frameBytes: number, nowMs: number): void {
    const elapsedMs = Math.max(1, nowMs - this.thenMs)
    const grown = frames >= this.framesThen ? frames - this.framesThen : frames
    const spanMs = Math.max(SPAN_MS_MIN, Math.min(elapsedMs, SPAN_MS_MAX))
    const faded = this.bytesPerSecondThen * 0.5 ** (elapsedMs / HALF_LIFE_MS)
    this.bytesPerSecondThen = Math.max((grown * frameBytes * 1000) / spanMs, faded)
    this.thenMs = nowMs
    this.framesThen = frames
  }
}
