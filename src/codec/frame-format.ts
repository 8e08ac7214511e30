// The words of an LZ4 frame, little-endian (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md):
//
//   bytes   field
//   4       magic 0x184D2204
//   1       FLG: bits 7-6 version 01, 5 blocks are independent, 4 block checksums, 3 content size, 2 content checksum,
//           1 reserved, 0 dictionary id
//   1       BD: bit 7 reserved, bits 6-4 maximum size of a block (4: 64 KiB, 5: 256 KiB, 6: 1 MiB, 7: 4 MiB), 3-0 reserved
//   0 or 8  content size
//   0 or 4  dictionary id
//   1       HC: second byte of the xxh32 of everything from FLG to here
//   ...     blocks, each:
//             4       bits 30-0 stored length; bit 31: stored as it is, not compressed
//             n       the block
//             0 or 4  xxh32 of the block as stored
//   4       end mark: zero
//   0 or 4  xxh32 of the content
//
// A skippable frame is a magic of 0x184D2A50 to 0x184D2A5F, a length in 4 bytes and so many bytes to pass over.

export const FRAME_MAGIC = 0x184d2204
export const LEGACY_MAGIC = 0x184c2102

export const isSkippableMagic = (magic: number): boolean => magic >>> 4 === 0x184d2a5

/**
 * What we write: independent blocks, content checksum, nothing else, as the original does. By the largest
 * block: the original's reader allocates that much for every object, so short ones, whose only block is known, claim no more
 * than they need.
 */
export const HEADERS: readonly { readonly blockBytesMax: number; readonly header: Buffer }[] = [
  { blockBytesMax: 1 << 16, header: Buffer.from('04224d186440a7', 'hex') },
  { blockBytesMax: 1 << 18, header: Buffer.from('04224d18645008', 'hex') },
  { blockBytesMax: 1 << 20, header: Buffer.from('04224d18646085', 'hex') },
  { blockBytesMax: 1 << 22, header: Buffer.from('04224d186470b9', 'hex') },
]
/** Of long contents, as we write them: a match reaches back 64 KiB, so larger ones would only cost memory on both sides. */
export const LONG_BLOCK_BYTES = 1024 * 1024
export const BLOCKS_IN_FLIGHT = 4

/** In a block's length: stored as it is. */
export const STORED_FLAG = 0x80000000
export const END_MARK = 0

export interface FrameHeader {
  readonly independent: boolean
  readonly blockChecksums: boolean
  readonly contentChecksum: boolean
  readonly hasContentSize: boolean
  readonly blockBytesMax: number
}

/** Bytes behind BD that a frame with this FLG has in its header: content size, dictionary id, HC. */
export function headerRestBytes(flg: number): number {
  return (flg & 0x08 ? 8 : 0) + (flg & 0x01 ? 4 : 0) + 1
}

/** What FLG and BD say, or, as text, the second half of a sentence that tells why they cannot be. */
export function parseFlags(flg: number, bd: number): FrameHeader | string {
  if (flg >>> 6 !== 1) return `has version ${flg >>> 6} of the LZ4 frame format, only version 1 is known`
  const blockSizeId = (bd >>> 4) & 7
  if (flg & 0x02 || bd & 0x8f || blockSizeId < 4) return 'has an LZ4 frame header with values that do not exist'
  if (flg & 0x01) return 'needs a dictionary to be decompressed'
  return {
    independent: (flg & 0x20) !== 0,
    blockChecksums: (flg & 0x10) !== 0,
    hasContentSize: (flg & 0x08) !== 0,
    contentChecksum: (flg & 0x04) !== 0,
    blockBytesMax: 2 ** (8 + 2 * blockSizeId),
  }
}
