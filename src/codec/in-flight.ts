// A bounded row of work that runs at the same time and is taken in the order in which it began.

export class InFlight<T> {
  readonly #row: Promise<T>[] = []

  constructor(readonly max: number) {}

  get isEmpty(): boolean {
    return this.#row.length === 0
  }

  get isFull(): boolean {
    return this.#row.length >= this.max
  }

  /** Call only while not full. */
  add(work: Promise<T>): void {
    // A failure shows when its turn comes; until then, or when nobody comes for it, it must not end the process.
    work.catch(() => undefined)
    this.#row.push(work)
  }

  /** The result of the oldest work. Call only while not empty. */
  take(): Promise<T> {
    return this.#row.shift()!
  }

  /** Wait until nothing runs any more, whatever becomes of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#row.splice(0))
  }
}
