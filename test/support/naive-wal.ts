// A second reader and writer of write-ahead logs, as slow and plain as the file format's description, to compare ours with.

export interface NaiveFrame {
  readonly page: number
  /** Size of the database in pages in a commit frame, else 0. */
  readonly commit: number
  readonly image: Buffer
}

export interface NaiveWal {
  readonly pageSize: number
  readonly salts: readonly [number, number]
  readonly bigEndian: boolean
  /** Frames of the chain, behind the last commit too. */
  readonly frames: readonly NaiveFrame[]
  readonly checksum: readonly [number, number]
}

type Checksum = readonly [number, number]

/** "s0 += x(i) + s1; s1 += x(i+1) + s0", modulo 2 to the 32. */
function addTo(checksum: Checksum, bytes: Buffer, bigEndian: boolean): Checksum {
  let [s0, s1] = checksum
  for (let at = 0; at < bytes.length; at += 8) {
    const x = bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
    const y = bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)
    s0 = (s0 + x + s1) % 2 ** 32
    s1 = (s1 + y + s0) % 2 ** 32
  }
  return [s0, s1]
}

/** Undefined where SQLite would take the WAL for empty. */
export function readNaively(wal: Buffer): NaiveWal | undefined {
  if (wal.length < 32) return undefined
  const magic = wal.readUInt32BE(0)
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return undefined
  const bigEndian = magic === 0x377f0683
  const pageSize = wal.readUInt32BE(8)
  if (![512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].includes(pageSize)) return undefined
  let checksum = addTo([0, 0], wal.subarray(0, 24), bigEndian)
  if (checksum[0] !== wal.readUInt32BE(24) || checksum[1] !== wal.readUInt32BE(28)) return undefined
  if (wal.readUInt32BE(4) !== 3007000) return undefined
  const frames: NaiveFrame[] = []
  for (let at = 32; at + 24 + pageSize <= wal.length; at += 24 + pageSize) {
    const header = wal.subarray(at, at + 24)
    if (!header.subarray(8, 16).equals(wal.subarray(16, 24)) || header.readUInt32BE(0) === 0) break
    const image = wal.subarray(at + 24, at + 24 + pageSize)
    const next = addTo(addTo(checksum, header.subarray(0, 8), bigEndian), image, bigEndian)
    if (next[0] !== header.readUInt32BE(16) || next[1] !== header.readUInt32BE(20)) break
    checksum = next
    frames.push({ page: header.readUInt32BE(0), commit: header.readUInt32BE(4), image })
  }
  return { pageSize, salts: [wal.readUInt32BE(16), wal.readUInt32BE(20)], bigEndian, frames, checksum }
}

export function writeNaively(wal: Omit<NaiveWal, 'checksum'>, sequence = 0): Buffer {
  const { bigEndian, pageSize, salts } = wal
  const header = Buffer.alloc(32)
  const words = [bigEndian ? 0x377f0683 : 0x377f0682, 3007000, pageSize, sequence, ...salts]
  words.forEach((word, i) => void header.writeUInt32BE(word, i * 4))
  let checksum = addTo([0, 0], header.subarray(0, 24), bigEndian)
  checksum.forEach((word, i) => void header.writeUInt32BE(word, 24 + i * 4))
  const parts: Buffer[] = [header]
  for (const { page, commit, image } of wal.frames) {
    const frame = Buffer.alloc(24)
    ;[page, commit, ...salts].forEach((word, i) => void frame.writeUInt32BE(word, i * 4))
    checksum = addTo(addTo(checksum, frame.subarray(0, 8), bigEndian), image, bigEndian)
    checksum.forEach((word, i) => void frame.writeUInt32BE(word, 16 + i * 4))
    parts.push(frame, image)
  }
  return Buffer.concat(parts)
}

/** The database file with the committed frames of its WAL laid over it. */
export function composeNaively(file: Buffer, wal: NaiveWal | undefined): Buffer {
  const last = wal?.frames.findLastIndex(({ commit }) => commit > 0) ?? -1
  if (!wal || last < 0) return file
  const frames = wal.frames.slice(0, last + 1)
  const result = Buffer.alloc((frames[last]?.commit ?? 0) * wal.pageSize)
  file.copy(result, 0, 0, Math.min(file.length, result.length))
  for (const { page, image } of frames)
    if (page * wal.pageSize <= result.length) image.copy(result, (page - 1) * wal.pageSize)
  return result
}
