// Overlays of snapshots that never became visible, at the beginning of generations that were given up: of no use to anybody, and up
// to the size of a database each.
//
// Only their writer can delete them safely, because only it knows what it has sent. When the snapshot's bytes had not all been given
// to the store, it cannot appear any more. Otherwise a store that did not answer may still make it visible, and without its overlay
// it would be a mixture of states: then it is left alone until no request can be under way any longer, and looked at again.

import type { Clock } from '../clock.js'
import { isLitestreamError } from '../errors.js'
import { segmentKey, snapshotsPrefix } from '../model/layout.js'
import type { ReplicaClient } from '../replica/client.js'

const SETTLED_MS = 15 * 60_000
const KEPT_MAX = 100

export class Unborn {
  private waiting: { readonly generation: string; readonly index: number; readonly sinceMs: number }[] = []

  constructor(
    private readonly client: ReplicaClient,
    private readonly clock: Clock,
  ) {}

  /** The overlay of a snapshot that failed. `sent`: the store may have all of the snapshot. */
  async add(generation: string, index: number, sent: boolean): Promise<void> {
    const entry = { generation, index, sinceMs: this.clock.monotonic() }
    if (!sent && (await this.tryDelete(entry))) return
    this.waiting.push(entry)
    // More than that is for retention: whoever begins so many generations has other worries.
    if (this.waiting.length > KEPT_MAX) this.waiting.shift()
  }

  /** Now and then, while the store works. */
  async sweep(): Promise<void> {
    const [first] = this.waiting
    if (!first || this.clock.monotonic() - first.sinceMs < SETTLED_MS) return
    this.waiting.shift()
    await this.tryDelete(first)
  }

  /** False when it could not be found out or deleted. */
  private async tryDelete({ generation, index }: { generation: string; index: number }): Promise<boolean> {
    try {
      for await (const _ of this.client.list(snapshotsPrefix(generation))) return true // it was born after all
      await this.client.delete([segmentKey(generation, index, 0)])
      return true
    } catch (error) {
      if (!isLitestreamError(error)) throw error
      return false
    }
  }
}
