// What travels behind the LZ4 frame of an object: a small payload inside one LZ4 skippable frame, which every LZ4 reader
// passes over, and which can be found from the object's end without reading the rest. Little-endian:
//
//   offset       bytes   field
//   0            4       magic 0x184D2A5C: "skippable frame", number 12 of 16
//   4            4       bytes that follow
//   8            n       payload
//   8 + n        4       n, payload length
//   12 + n       4       CRC-32 of the payload
//   16 + n       8       "LSNTRLR1"
//
// The tag stands at the very end. Bytes behind it, a changed payload or another tag mean: no trailer. The format of the frame:
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md

const MAGIC = 0x184d2a5c
const TAG = Buffer.from('LSNTRLR1', 'latin1')
const HEAD_BYTES = 8
const FOOT_BYTES = 16

/** No trailer is longer than this: read so many bytes from an object's end and a trailer that is there is in them. */
export const TRAILER_TAIL_BYTES = 4096

export const TRAILER_PAYLOAD_BYTES_MAX = TRAILER_TAIL_BYTES - HEAD_BYTES - FOOT_BYTES

/** The bytes to put behind an object's frame. Throws RangeError for a payload over TRAILER_PAYLOAD_BYTES_MAX. */
export function encodeTrailer(payload: Uint8Array): Buffer {
  if (payload.length > TRAILER_PAYLOAD_BYTES_MAX) {
    throw new RangeError(`a trailer holds at most ${TRAILER_PAYLOAD_BYTES_MAX} bytes, not ${payload.length}`)
  }
  const trailer = Buffer.alloc(HEAD_BYTES + payload.length + FOOT_BYTES)
  trailer.writeUInt32LE(MAGIC, 0)
  trailer.writeUInt32LE(payload.length + FOOT_BYTES, 4)
  trailer.set(payload, HEAD_BYTES)
  const foot = HEAD_BYTES + payload.length
  trailer.writeUInt32LE(payload.length, foot)
  trailer.writeUInt32LE(crc32(payload), foot + 4)
  trailer.set(TAG, foot + 8)
  return trailer
}

/** The payload of the trailer that `tail`, any number of an object's last bytes, ends with; undefined when it has none. */
export function findTrailer(tail: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength)
  const foot = bytes.length - FOOT_BYTES
  if (foot < HEAD_BYTES || !bytes.subarray(foot + 8).equals(TAG)) return undefined
  const payloadBytes = bytes.readUInt32LE(foot)
  const head = foot - payloadBytes - HEAD_BYTES
  if (payloadBytes > TRAILER_PAYLOAD_BYTES_MAX || head < 0) return undefined
  if (bytes.readUInt32LE(head) !== MAGIC || bytes.readUInt32LE(head + 4) !== payloadBytes + FOOT_BYTES) return undefined
  const payload = bytes.subarray(head + HEAD_BYTES, foot)
  return bytes.readUInt32LE(foot + 4) === crc32(payload) ? payload : undefined
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** CRC-32 as in gzip and zlib, here because zlib.crc32 is missing from Node 20. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255]!
  return (crc ^ 0xffffffff) >>> 0
}
