// What a follower tells those who keep what it read: batches of changed pages, each ending at a commit of the source, or that
// continuity was lost.

import type { FileStamp, Uptime, WalCursor } from '../model/provenance.js'

/** A state of the source that a commit left behind. */
export interface SourceState {
  readonly pageSize: number
  readonly pageCount: number
  readonly observedAtMs: number
  /** The same moment; undefined when it is not known on any machine's clock. */
  readonly uptime?: Uptime | undefined
  readonly source: { readonly cursor: WalCursor } | { readonly stamp: FileStamp }
}

export interface Sink {
  /** A batch begins; nothing that was put counts before `commit`. */
  begin(): void
  put(page: number, image: Uint8Array): void
  /** The batch is whole: what was put since the last state leads to this one. */
  commit(state: SourceState): void
  /** What was put since the last known state is worth nothing; the source has to be taken anew. */
  lost(reason: string): void
}
