// Every error that this program raises on purpose. One class, a closed set of codes; the command line maps codes to exit
// statuses. A message names what, where and what to do next.

export type ErrorCode =
  /** Wrong words on the command line. */
  | 'USAGE'
  /** The configuration cannot be used. The message starts with `file:line`. */
  | 'CONFIG'
  /** An object, replica, generation, database or moment that was asked for is not there. */
  | 'NOT_FOUND'
  /** Something is there already that must not be overwritten (an output file, an object claimed by another writer). */
  | 'EXISTS'
  /** An object or database is damaged: cut, changed, out of order, or has a hole. The message names the object. */
  | 'CORRUPT'
  /** The storage refused or could not be reached. */
  | 'STORAGE'
  /** The database cannot be observed as it is (not in WAL mode, not SQLite, unreadable, unsupported). */
  | 'SOURCE'
  /** The local file system refused: no space, no permission. */
  | 'LOCAL'
  /** The caller asked to stop. */
  | 'ABORTED'

export class LitestreamError extends Error {
  override readonly name = 'LitestreamError'

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

/** True for errors of ours, with any of `codes` when some are given. */
export function isLitestreamError(error: unknown, ...codes: ErrorCode[]): error is LitestreamError {
  return error instanceof LitestreamError && (codes.length === 0 || codes.includes(error.code))
}

/** The text of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
