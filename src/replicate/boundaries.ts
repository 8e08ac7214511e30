// Moments at which a replica stands at exactly the state that somebody else has seen, too: everything that was read is in it, or has
// just become the next segment. Whoever compares the replica with something else waits for such a moment, and is answered when the
// segment was acknowledged.

import { LitestreamError } from '../errors.js'
import { sameState } from '../model/provenance.js'
import type { Place } from './replica-writer.js'
import type { SourceState } from './sink.js'

export interface Boundary<T> {
  /** What was made of the other side at that moment. */
  readonly frozen: T
  /** Where the replica stands with it. */
  readonly place: Place
}

interface Frozen {
  readonly acknowledged: (place: Place) => void
  readonly failed: (error: unknown) => void
}

interface Waiting {
  readonly stateOf: () => SourceState | undefined
  /** Freezes the other side; the result answers when the place is known. Undefined where that failed. */
  readonly freeze: () => Frozen | undefined
}

export class Boundaries {
  private readonly waiting = new Set<Waiting>()
  private frozen: Frozen[] = []

  get anybodyWaits(): boolean {
    return this.waiting.size > 0
  }

  /**
   * `stateOf` tells where the other side stands, `freeze` is called when that is where the replica will stand. Once it was called the
   * result may still be an error.
   */
  wait<T>(stateOf: () => SourceState | undefined, freeze: () => T, signal: AbortSignal): Promise<Boundary<T>> {
    return new Promise<Boundary<T>>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const waiting: Waiting = {
        stateOf,
        freeze: () => {
          try {
            const frozen = freeze()
            return { acknowledged: (place) => resolve({ frozen, place }), failed: reject }
          } catch (error) {
            // The other side's trouble, not the replica's.
            reject(error)
            return undefined
          }
        },
      }
      const abort = () => {
        this.waiting.delete(waiting)
        reject(signal.reason)
      }
      signal.addEventListener('abort', abort, { once: true })
      this.waiting.add(waiting)
    })
  }

  /** The replica stands at this state, or will when what has just been taken for it is acknowledged. */
  reached(state: SourceState | undefined): void {
    for (const waiting of this.waiting) {
      const other = waiting.stateOf()
      if (!state || !other || !sameState(state.source, other.source)) continue
      this.waiting.delete(waiting)
      const frozen = waiting.freeze()
      if (frozen) this.frozen.push(frozen)
    }
  }

  acknowledged(place: Place): void {
    for (const { acknowledged } of this.frozen.splice(0)) acknowledged(place)
  }

  /** What was to be shipped will not be. */
  dropped(): void {
    const error = new LitestreamError('SOURCE', 'the replica was not brought to the state that was read')
    for (const { failed } of this.frozen.splice(0)) failed(error)
  }
}
