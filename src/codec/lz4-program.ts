// Compresses one LZ4 block, and hashes content by the way, as a WebAssembly module that is assembled here: faster than the library for
// decompression compresses, without its memory, and with a table of places where four bytes were last seen that is sixteen times as
// large. Measured on the database of the benchmarks: 0.47 of the content, where the library leaves 0.74 and the original 0.53. This is the
// quick search: the last place that had the same four bytes, and nothing else; lz4-deep-program is the slow one.
//
// How quick: 360 MB/s of processor time where only the first place in a match is remembered. The reference in C, at its fast level, built with a table
// of 256 KiB too, does 308 MB/s and leaves 0.51 (with 64 KiB 376 MB/s and 0.55, with its own 16 KiB 570 MB/s and 0.74). A match is 7.7 bytes long and
// a third of them are four: one match after the other has to be found, measured and only then the next place is known, 23 ns for each. Tried for
// nothing: places of 16 bits (368 MB/s), tables of 64 and 32 KiB (362 and 364), the first round of each loop in front of it (355). Places within
// matches not remembered at all, or as the reference does: 376 and 360 MB/s, and 3 % more bytes.
//
// The form of a block is told in lz4-sequences. Two rules of the format for its end: the last five bytes are literals, and no match
// begins within the last twelve. Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

import { HASH, type HashProgram } from './content-hash.js'
import { COMPRESS_DEEP } from './lz4-deep-program.js'
import {
  begin,
  COMMON_VARIABLES,
  extendBackward,
  extendForward,
  MISSES_A_STEP_BITS,
  slotOf,
  writeEnd,
  writeSequence,
} from './lz4-parts.js'
import { HISTORY_BYTES_MAX } from './lz4-sequences.js'
import { type Code, compile, type FunctionText, type Instructions, type WasmModule } from './wasm-assembler.js'

/** The longest that a block of so many bytes can become. */
export function compressedBytesMax(contentBytes: number): number {
  return contentBytes + Math.ceil(contentBytes / 255) + 16
}

export interface Lz4Program extends HashProgram {
  /**
   * Write the block for the content to `to`, and give its end. Of each match every `step`th place is remembered: 1 for the
   * fewest bytes.
   */
  compress(from: number, contentBytes: number, to: number, step: number): number
  /** The same with the deep search. */
  compressDeep(from: number, contentBytes: number, to: number): number
}

/** To be instantiated: gives a Lz4Program. */
export function compileLz4(isShared: boolean): WasmModule {
  return compile([COMPRESS, COMPRESS_DEEP, HASH], isShared)
}

/** Sets `position` and `found`, where the same four bytes are; leaves `matches done` when there are none any more. */
function search(f: Instructions): Code {
  const isNear = f.atMost(f.sub('position', 'found'), HISTORY_BYTES_MAX)
  return f.seq(
    f.set('misses', 1 << MISSES_A_STEP_BITS),
    f.block(
      'found',
      f.loop(
        'search',
        f.goIf('matches done', f.atLeast('position', 'startEnd')),
        f.set('word', f.load32('position')),
        f.set('slot', slotOf(f, 'word')),
        f.set('found', f.load32('slot')),
        f.store32('slot', 'position'),
        f.goIf('found', f.and(isNear, f.equal(f.load32('found'), 'word'))),
        f.set('position', f.add('position', f.shr('misses', MISSES_A_STEP_BITS))),
        f.set('misses', f.add('misses', 1)),
        f.go('search'),
      ),
    ),
  )
}

/** Places within the match, from `place` on. */
function rememberPlaces(f: Instructions): Code {
  return f.block(
    'remembered',
    f.loop(
      'place',
      f.goIf('remembered', f.atLeast('place', 'end')),
      f.set('word', f.load32('place')),
      f.store32(slotOf(f, 'word'), 'place'),
      f.set('place', f.add('place', 'step')),
      f.go('place'),
    ),
  )
}

const COMPRESS: FunctionText = {
  name: 'compress',
  parameters: ['from', 'length', 'to', 'step'],
  variables: [...COMMON_VARIABLES, 'word', 'place'],
  body: (f) =>
    f.seq(
      begin(f),
      f.set('position', f.add('from', 1)),
      f.block(
        'matches done',
        f.loop(
          'match',
          search(f),
          f.set('place', f.add('position', 1)),
          extendForward(f, f.add('position', 4), f.add('found', 4)),
          extendBackward(f),
          writeSequence(f),
          f.goIf('matches done', f.atLeast('end', 'startEnd')),
          rememberPlaces(f),
          f.set('position', 'end'),
          f.go('match'),
        ),
      ),
      writeEnd(f),
    ),
}
