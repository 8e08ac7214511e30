// The contract that every place for a replica keeps: memory, a directory, S3. The engines know nothing else of storage.
//
// Keys are relative to the replica's root, use `/`, never begin with one and never contain `.` or `..` as a part. Objects are
// immutable once written (a second put of the same key replaces the object as a whole). A client is safe for concurrent calls.
// Errors are LitestreamError with code NOT_FOUND, EXISTS, STORAGE, LOCAL or ABORTED, the original one as `cause`; the message
// names the operation, the key and where (bucket and endpoint, or path), and says what to do next where a person can do
// something. Credentials never appear in it. Retrying is not the client's business beyond what its transport does.

export interface ObjectInfo {
  readonly key: string
  /** Stored (compressed) bytes. */
  readonly size: number
  /** The storage's own time for the object, milliseconds since 1970 (whole seconds on some stores). */
  readonly modifiedAtMs: number
}

export interface PutOptions {
  readonly signal?: AbortSignal | undefined
  /** About how long `body` is, or how long it is at most. */
  readonly sizeEstimate?: number | undefined
  /** Reject with EXISTS, changing nothing, when the key is taken; decided after `body` has ended. See `conditionalPuts`. */
  readonly ifAbsent?: boolean | undefined
}

export interface GetOptions {
  readonly signal?: AbortSignal | undefined
  /** First byte to return, 0 by default. At or past the end gives no bytes. */
  readonly start?: number | undefined
}

export interface ReplicaClient {
  readonly type: 'memory' | 'file' | 's3'
  /** For logs and errors: `file:///path` or `s3://bucket/path`; no credentials. */
  readonly url: string

  /**
   * Every object below `prefix` (which ends with `/`), at any depth, in ascending order of the key's UTF-8 bytes. Pages are
   * fetched while the result is consumed. A prefix with nothing below it gives nothing; that is no error, and neither is a file
   * replica's directory that does not exist yet. What is deleted meanwhile may still be named.
   */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>

  /** The names directly below `prefix` that have something below them ("directories"), ascending, without slashes. */
  listNames(prefix: string, signal?: AbortSignal): Promise<string[]>

  /** The object's bytes. Rejects with NOT_FOUND at once when there is none. Stopping early releases the connection. */
  get(key: string, options?: GetOptions): Promise<AsyncIterable<Uint8Array>>

  /**
   * Store an object. It becomes visible as a whole, after `body` has ended and everything is durable, or not at all: when `body`
   * throws or the signal aborts, nothing of it remains visible and parts of an upload are cleaned up. `body` is consumed once, with
   * back pressure; memory stays bounded however long it is. Resolves with the stored object once the store has acknowledged.
   */
  put(key: string, body: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<ObjectInfo>

  /**
   * Whether the store honours `ifAbsent`: some refuse it, some take no notice. Found out by trying it, on a key that nobody else uses
   * and that is deleted again. Where there is no such method it always does.
   */
  conditionalPuts?(scratchKey: string, signal?: AbortSignal): Promise<boolean>

  /** Delete objects; keys that are not there are not an error. Rejects naming the first key that could not be deleted. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>

  /** Release sockets and handles. Idempotent. */
  close(): Promise<void>
}
