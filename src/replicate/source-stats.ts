// What was counted about one database since the daemon began, for metrics and status. Only numbers that grow; nothing is decided by
// them, so whoever sees something happen adds to them in passing.

export class SourceStats {
  /** Rounds of the follower's loop, those that failed, and how long all took. */
  looks = 0
  lookErrors = 0
  lookMs = 0
  /** Bytes of committed WAL frames that were read. */
  walBytes = 0
  /** Restarts of the WAL that were crossed with proof. */
  crossed = 0
  /** Times that continuity could not be proved. */
  lost = 0
  lastLostReason = ''
  /** Windows that were opened for the application's checkpoints, and those in which one finished. */
  windows = 0
  windowsThatHelped = 0
  /** PASSIVE checkpoints of our own (allow-checkpoint). */
  checkpoints = 0
  checkpointErrors = 0
  checkpointMs = 0

  lose(reason: string): void {
    this.lost++
    this.lastLostReason = reason
  }
}
