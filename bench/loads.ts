// What the application of the benchmarks is told to do, and what it reports. Every contender gets the same seed, so the same rows.

/**
 * `flat`: transactions of ten rows, five new ones and five updates of random old ones, without a pause.
 * `web`: 121 transactions a second of three rows, one new one and two updates; a late one is made up for at once.
 * `big`: transactions of 20,000 rows, 18,000 new ones and 2,000 updates, with 500 ms between the end of one and the next.
 */
export const LOAD_KINDS = ['web', 'flat', 'big'] as const
export type LoadKind = (typeof LOAD_KINDS)[number]

export const BIG_PAUSE_MS = 500

export type CheckpointMode = 'TRUNCATE' | 'RESTART' | 'FULL'

export interface LoadOptions {
  readonly kind: LoadKind
  readonly forMs: number
  readonly seed: number
  /** Instead of 121 transactions a second, in `web`. */
  readonly perSecond?: number | undefined
  /** The application's own checkpoints, between transactions, on the connection that writes. */
  readonly checkpoint?: { readonly mode: CheckpointMode; readonly everyMs: number } | undefined
  /** A file that always holds the number and time of the newest transaction whose commit has returned (see AcknowledgedFile). */
  readonly acknowledgeTo?: string | undefined
}

/** Numbers only (they become figures). Times are milliseconds; a transaction's goes from before BEGIN IMMEDIATE until COMMIT has returned. */
export interface LoadReport extends Readonly<Record<string, number>> {
  readonly transactions: number
  /** Those that SQLite refused because the database stayed locked for the whole busy timeout. */
  readonly failedTransactions: number
  readonly transactionsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
  readonly checkpoints: number
  /** Those that could not finish within the busy timeout. */
  readonly failedCheckpoints: number
  readonly longestCheckpointMs: number
  /** Number of the newest transaction in the database. */
  readonly lastTransaction: number
}

/** Two little-endian doubles: number of the transaction, milliseconds since 1970 at which it began. */
export const ACKNOWLEDGED_BYTES = 16

export interface Mark {
  readonly transaction: number
  readonly atMs: number
}

/** The newest transaction in a database of the benchmarks. */
export const NEWEST_TRANSACTION_SQL =
  'SELECT written_in AS "transaction", written_ms AS atMs FROM item ORDER BY id DESC LIMIT 1'
