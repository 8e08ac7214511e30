// Decides, after each look at the WAL, what to do with the pin, so that the application's checkpoints can finish and its WAL can
// restart while no commit is lost sight of. Pure. The reasons for each rule are told in ARCHITECTURE.md, "Letting go".

/** Where the current pin lies: `database` (mark 0) forbids writes to the database file, `read-mark` forbids a WAL restart. */
export type PinPlace = 'none' | 'read-mark' | 'database-unconfirmed' | 'database'

export interface HoldFacts {
  readonly pin: PinPlace
  /** Everything up to the commit gate was read. */
  readonly caughtUp: boolean
  readonly frames: number
  readonly backfilled: number
  /** The read mark that the pin lies on: no checkpoint gets past it. */
  readonly markFrames: number
  /** A checkpoint of so many frames is short, and worth the sync of the WAL that it costs. */
  readonly stepFrames: number
  /** Since the WAL last grew or restarted. */
  readonly quietMs: number
  /** WAL size at which a window is worth its risk. */
  readonly windowFrames: number
  /** Until the next window is allowed; 0 when it is. */
  readonly windowRestMs: number
}

export type Hold = 'hold' | 'leapfrog' | 'release' | 'window'

/** With nothing growing for this long, an unfinished checkpoint may be waiting for us. Longer than one that does its part takes, mostly. */
export const QUIET_MS = 18

export function planHold(facts: HoldFacts): Hold {
  if (facts.pin === 'none' || !facts.caughtUp) return 'hold'
  const complete = facts.backfilled === facts.frames
  // All is in the database file: from mark 0 we hold up neither a restart nor a truncation. The confirmation is a second
  // leapfrog, because SQLite passes mark 0 by for the instant in which a checkpoint still holds it.
  if (complete) return facts.pin === 'database' ? 'hold' : 'leapfrog'
  // New frames behind a pin on mark 0, which forbids to backfill them.
  if (facts.pin !== 'read-mark') return 'leapfrog'
  // A blocked checkpoint stops all writers, cannot be seen, and waits for the very slot that our read mark lies in: a pin that is
  // taken anew may land on the same slot, and a leapfrog shares it when its mark is the newest. Only letting go certainly helps.
  if (facts.quietMs >= QUIET_MS) return 'release'
  const isLarge = facts.frames >= facts.windowFrames && facts.windowRestMs === 0
  const left = facts.frames - facts.backfilled
  const waited = facts.frames >= facts.windowFrames + WAIT_STEPS * facts.stepFrames
  if (isLarge && (left < facts.stepFrames || waited)) return 'window'
  // A newer read mark lets the application's next checkpoint do a part, which costs it a sync of the WAL: in none, the one checkpoint in the
  // window is a long stall. The last part comes just before the window, where the database file has to be synced as well.
  const step = isLarge ? facts.stepFrames / 4 : facts.stepFrames
  return facts.frames - facts.markFrames >= step ? 'leapfrog' : 'hold'
}

/** So many parts more a window waits at most for the last one: an application that does none would never get its window. */
const WAIT_STEPS = 2

/**
 * Measured flat out, six runs in turn with the bare application (12.7 to 21.6 ms), with looks 7 ms apart: longest stalls of 36 to 44 ms at 0.98 of
 * its transactions; with 7 MB 40 to 53 ms at 0.99; with 4 MB and looks 5 ms apart 38 to 45 ms at 0.955.
 */
const STEP_BYTES = 5 << 20

export function stepFrames(frameBytes: number): number {
  return Math.max(1, Math.floor(STEP_BYTES / frameBytes))
}

export const WINDOW_MS_MIN = 2
export const WINDOW_MS_MAX = 50
/** How long a window stays open for a checkpoint that is running: to pin in its midst would waste it. */
export const WINDOW_CHECKPOINT_MS_MAX = 1000

/** The next window's patience: shorter when this one brought what it was for, doubled when it did not. */
export function nextWindowMs(windowMs: number, succeeded: boolean): number {
  return succeeded ? Math.max(WINDOW_MS_MIN, windowMs * 0.75) : Math.min(WINDOW_MS_MAX, windowMs * 2)
}

const WINDOW_BYTES_MAX = 64 << 20

/**
 * Rare windows while writes are fast: the WAL may grow by some 0.4 s of writing, between the configured minimum and 64 MB, and in no
 * case past half of `walBytesMax`, so that there is room for several tries.
 */
export function windowFrames(
  bytesPerSecond: number,
  frameBytes: number,
  minCheckpointPageCount: number,
  walBytesMax: number,
): number {
  const wanted = Math.max(minCheckpointPageCount * frameBytes, Math.min(WINDOW_BYTES_MAX, bytesPerSecond * 0.4))
  return Math.max(1, Math.floor(Math.min(wanted, walBytesMax / 2) / frameBytes))
}
