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

/** What an error asks for. */
export type ErrorKind =
  /** Nothing but time: overload, a restart, a network that broke. Trying again helps. */
  | 'transient'
  /** Somebody has to do something: permissions, a missing bucket, a full disk, a wrong clock. The message says what. */
  | 'person'
  /** This program, or one it talks to, does something that it must not. */
  | 'bug'

export interface ErrorOptions {
  readonly cause?: unknown
  /** Follows from the code where it is not given. */
  readonly kind?: ErrorKind | undefined
  /** One word that stays the same while the reason does, where the message may not: `SlowDown`, `ECONNREFUSED`. */
  readonly reason?: string | undefined
}

export class LitestreamError extends Error {
  override readonly name = 'LitestreamError'
  readonly kind: ErrorKind
  readonly reason: string

  constructor(
    readonly code: ErrorCode,
    message: string,
    { kind, reason, ...options }: ErrorOptions = {},
  ) {
    super(message, options)
    this.kind = kind ?? (TRANSIENT_CODES.has(code) ? 'transient' : 'person')
    this.reason = reason ?? code
  }
}

const TRANSIENT_CODES: ReadonlySet<ErrorCode> = new Set(['STORAGE', 'SOURCE', 'ABORTED'])

/** What nobody raised on purpose is a bug. */
export function kindOf(error: unknown): ErrorKind {
  return error instanceof LitestreamError ? error.kind : 'bug'
}

export function reasonOf(error: unknown): string {
  if (error instanceof LitestreamError) return error.reason
  return error instanceof Error ? error.name : typeof error
}

/** True for errors of ours, with any of `codes` when some are given. */
export function isLitestreamError(error: unknown, ...codes: ErrorCode[]): error is LitestreamError {
  return error instanceof LitestreamError && (codes.length === 0 || codes.includes(error.code))
}

/** The text of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
