// What others want from a follower, served in its loop one after the other, at a moment when its state is fresh.

/** Thrown by a request that has to be served again later. */
export class Retry extends Error {}

export class Requests {
  private waiting: (() => Promise<void>)[] = []

  constructor(private readonly wake: () => void) {}

  get size(): number {
    return this.waiting.length
  }

  /** Resolves or rejects as `work` does once it was served; rejects at once when the signal aborts before. */
  add<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const abort = () => reject(signal.reason)
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const serve = async () => {
        if (signal.aborted) return
        try {
          resolve(await work())
        } catch (error) {
          if (error instanceof Retry) {
            this.waiting.push(serve)
            return
          }
          reject(error)
        }
        signal.removeEventListener('abort', abort)
      }
      this.waiting.push(serve)
      this.wake()
    })
  }

  /** Serves everything that waits now; what asks for a retry waits again. */
  async serve(): Promise<void> {
    const all = this.waiting
    this.waiting = []
    for (const serve of all) await serve()
  }
}
