// The inside of a compressed LZ4 block, in plain TypeScript: how long it will be, and its content where it leans on the
// blocks before it. Independent blocks are decoded by lz4-blocks, which is several times faster but has to be told the size
// and offers no window over earlier blocks. Nothing here reads or writes outside of the arrays it was given; the work is
// linear in the block's length.
//
// A block is a run of sequences:
//
//   bytes   field
//   1       token: literal length in the high 4 bits, match length - 4 in the low 4 bits
//   0..     when the literal length is 15: bytes to add to it, up to and including the first that is not 255
//   ..      the literals
//   2       offset of the match, little-endian, counted back from the end of the output so far, never 0
//   0..     when the match length is 15 + 4: bytes to add to it, as above
//
// The last sequence ends behind its literals.
// Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

/** How far back a match can reach. */
export const HISTORY_BYTES_MAX = 65_535

const MATCH_BYTES_MIN = 4

/** The block is not LZ4, or its content does not fit. The message is the second half of a sentence. */
export class BlockFormatError extends Error {
  override readonly name = 'BlockFormatError'
}

/**
 * How many bytes `block` decodes to, found by walking its sequences without copying anything. Never more than
 * `contentBytesMax`; throws BlockFormatError for a block that is malformed or longer. Matches are not checked.
 */
export function measureBlock(block: Uint8Array, contentBytesMax: number): number {
  const end = block.length
  let at = 0
  let contentBytes = 0
  while (at < end) {
    const token = block[at++]!
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw cutBlock()
        more = block[at++]!
        literals += more
      }
    }
    at += literals
    contentBytes += literals
    if (contentBytes > contentBytesMax) throw longBlock(contentBytesMax)
    if (at === end) return contentBytes
    if (at + 2 > end) throw cutBlock()
    at += 2
    let match = (token & 15) + MATCH_BYTES_MIN
    if (match === 15 + MATCH_BYTES_MIN) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw cutBlock()
        more = block[at++]!
        match += more
      }
    }
    contentBytes += match
    if (contentBytes > contentBytesMax) throw longBlock(contentBytesMax)
  }
  throw cutBlock()
}

/**
 * Decode `block` behind the `historyBytes` bytes that `target` begins with; matches may reach into them. `target` must be
 * exactly as long as the history and the block's measured content together. Throws BlockFormatError.
 */
export function decodeBlockBehind(target: Buffer, historyBytes: number, block: Uint8Array): void {
  const end = block.length
  let at = 0
  let to = historyBytes
  while (at < end) {
    const token = block[at++]!
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = block[at++]!
        literals += more
      }
    }
    if (at + literals > end) throw cutBlock()
    if (to + literals > target.length) throw longBlock(target.length - historyBytes)
    copyLiterals(target, to, block, at, literals)
    at += literals
    to += literals
    if (at === end) return
    if (at + 2 > end) throw cutBlock()
    const offset = block[at]! | (block[at + 1]! << 8)
    at += 2
    if (offset === 0 || offset > to) throw new BlockFormatError('refers to content before its beginning')
    let match = (token & 15) + MATCH_BYTES_MIN
    if (match === 15 + MATCH_BYTES_MIN) {
      let more = 255
      while (more === 255 && at < end) {
        more = block[at++]!
        match += more
      }
    }
    if (to + match > target.length) throw longBlock(target.length - historyBytes)
    copyMatch(target, to, offset, match)
    to += match
  }
  throw cutBlock()
}

const cutBlock = (): BlockFormatError => new BlockFormatError('ends in the middle of a sequence')
const longBlock = (contentBytesMax: number): BlockFormatError =>
  new BlockFormatError(`decodes to more than the ${contentBytesMax} bytes that it may`)

/** Below this a loop is faster than a call that copies memory. */
const LOOP_BYTES_MAX = 32

function copyLiterals(target: Buffer, to: number, block: Uint8Array, from: number, length: number): void {
  if (length > LOOP_BYTES_MAX) target.set(block.subarray(from, from + length), to)
  else for (let i = 0; i < length; i++) target[to + i] = block[from + i]!
}

/** A match may overlap what it writes: then the bytes between repeat. */
function copyMatch(target: Buffer, to: number, offset: number, length: number): void {
  if (offset === 1) target.fill(target[to - 1]!, to, to + length)
  else if (offset >= length && length > LOOP_BYTES_MAX) target.copyWithin(to, to - offset, to - offset + length)
  else for (let i = 0; i < length; i++) target[to + i] = target[to - offset + i]!
}
