// The first 100 bytes of a SQLite database file, as far as an observer needs them.
//
//   offset  size  field
//        0    16  magic "SQLite format 3\0"
//       16     2  page size, big-endian; 1 means 65536
//       18     1  file format write version: 1 rollback journal, 2 WAL
//       19     1  file format read version: 1 rollback journal, 2 WAL
//       28     4  size of the database in pages, big-endian
//
// Source: https://www.sqlite.org/fileformat2.html#the_database_header

export const DATABASE_HEADER_BYTES = 100

const MAGIC = 'SQLite format 3\0'

export interface DatabaseHeader {
  /** Bytes; a power of two from 512 to 65536. */
  readonly pageSize: number
  /** Both file format versions say WAL. */
  readonly walMode: boolean
  /** Pages, as the header itself says; may lag behind the WAL. */
  readonly pageCount: number
}

export function isPageSize(value: number): boolean {
  return value >= 512 && value <= 65536 && (value & (value - 1)) === 0
}

/** Undefined when the bytes do not begin a SQLite database (too short, another magic, an impossible page size). */
export function parseDatabaseHeader(bytes: Uint8Array): DatabaseHeader | undefined {
  if (bytes.length < DATABASE_HEADER_BYTES) return undefined
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC.charCodeAt(i)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const rawPageSize = view.getUint16(16)
  const pageSize = rawPageSize === 1 ? 65536 : rawPageSize
  if (!isPageSize(pageSize)) return undefined
  return { pageSize, walMode: bytes[18] === 2 && bytes[19] === 2, pageCount: view.getUint32(28) }
}
