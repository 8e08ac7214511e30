// Crossing a restart of the WAL with proof. While the salts stay, the checksum chain alone proves continuity. Once they have
// changed, the frames of the old cycle behind our cursor (the tail) may be commits that we still have to take, or ghosts: frames
// of a writer that died between writing them and publishing them. The wal-index's change counter decides, because it grows by
// exactly one with every published commit and survives the restart.

export interface CrossingFacts {
  /** Salt-1 of the cycle that the cursor is in, and of the current one. */
  readonly oldSalt1: number
  readonly newSalt1: number
  /** The change counter at the cursor and now; unsigned 32 bits, wrapping. */
  readonly oldChange: number
  readonly newChange: number
  /** Commit frames of the new cycle, from its first frame to the commit gate. */
  readonly newCommits: number
  /** Commit frames of the old cycle from the cursor to the end of its chain. */
  readonly tailCommits: number
  /** Whether any of those commit frames repeats the one before it. */
  readonly repeatedCommits: boolean
  /**
   * Whether this source pads its commits (psow=0), so that one commit shows several marks: 'yes' and 'no' were seen inside a
   * cycle, where the counter can be compared with the marks.
   */
  readonly pads: 'unknown' | 'yes' | 'no'
  /** One of our connections has held SQLite's dead-man-switch lock without a break since the cursor. */
  readonly attached: boolean
}

/** `takeFromTail`: how many commits of the tail are real; everything behind them is ghosts. */
export type Crossing =
  | { readonly proven: true; readonly takeFromTail: number }
  | { readonly proven: false; readonly reason: string }

const lost = (reason: string): Crossing => ({ proven: false, reason })

export function judgeCrossing(facts: CrossingFacts): Crossing {
  if (!facts.attached) return lost('the WAL was restarted while no wal-index lock was held')
  if (facts.repeatedCommits && facts.pads !== 'no') return lost('the WAL was restarted and its commit marks are padded')
  const need = ((facts.newChange - facts.oldChange) | 0) - facts.newCommits
  if (need < 0) return lost('the WAL was restarted and its change counter fell back')
  if (need === 0) return { proven: true, takeFromTail: 0 }
  if (need > facts.tailCommits) return lost('the WAL was restarted before all of its commits were read')
  if (facts.newSalt1 !== (facts.oldSalt1 + 1) >>> 0) return lost('the WAL was restarted more than once')
  return { proven: true, takeFromTail: need }
}
