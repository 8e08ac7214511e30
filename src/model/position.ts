// Where a replica stands: a generation, an index in it, and a byte offset in the WAL of that index.

/** `offset` counts uncompressed bytes of the index's WAL, its 32-byte header included. */
export interface Position {
  readonly generation: string
  readonly index: number
  readonly offset: number
}

/** The last index that Litestream 0.3 can name (it keeps indexes in a signed 32-bit integer). */
export const INDEX_MAX = 0x7fffffff

/** As Litestream logs it: `<generation>/<index, 8 hex digits>:<offset, decimal>`. */
export function formatPosition(position: Position): string {
  return `${position.generation}/${position.index.toString(16).padStart(8, '0')}:${position.offset}`
}
