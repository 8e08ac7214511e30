// What both ways of searching in an LZ4 block (lz4-program, lz4-deep-program) have in common: the memory, the bounds, how far a match
// reaches, and how a sequence is written. Instructions, not functions: they work on variables of these names.
//
// Memory, which whoever runs a program brings along:
//
//   offset      bytes     holds
//   STATE_AT    16        the state of the content's hash (see content-hash)
//   64          256 KiB   for each hash of four bytes: where they were seen last; cleared by each call
//   FREE_AT     ..        free for content and results; contents begin here or later, so that an empty place (0) is too far away
//
// Reads and writes up to 16 bytes behind contents and results, which belong to each (SLACK_BYTES), and reads 8 in front of contents.

import type { Code, Instructions, Value } from './wasm-assembler.js'

export const TABLE_AT = 64
const TABLE_BITS = 16
export const TABLE_BYTES = 4 << TABLE_BITS
export const FREE_AT = TABLE_AT + TABLE_BYTES
export const SLACK_BYTES = 16

/** A prime near 2^32 divided by the golden ratio. */
const HASH_FACTOR = -1_640_531_535
/** No match begins within the last twelve bytes, and the last five are literals. */
const LAST_LITERALS = 5
const MATCH_START_MAX = 13
/** So many misses until the search goes in steps of two, as many again until three: what does not compress is passed over ever faster. */
export const MISSES_A_STEP_BITS = 6

/** What both use: `from` and `length` are the content's, `to` is where the next byte of the block goes. */
export const COMMON_VARIABLES = [
  ...['contentEnd', 'startEnd', 'endMax', 'anchor', 'position', 'misses', 'slot', 'found', 'end', 'other'],
  ...['literals', 'more', 'left'],
]

/** Where the place of these four bytes is kept. */
export const slotOf = (f: Instructions, word: Value): Code =>
  f.add(TABLE_AT, f.shl(f.shr(f.mul(word, HASH_FACTOR), 32 - TABLE_BITS), 2))

/** Nothing is remembered, nothing is written. Before `startEnd` a match may begin, and it ends at `endMax` at the latest. */
export function begin(f: Instructions): Code {
  return f.seq(
    f.fill(TABLE_AT, 0, TABLE_BYTES),
    f.set('contentEnd', f.add('from', 'length')),
    f.set('startEnd', f.sub('contentEnd', MATCH_START_MAX)),
    f.set('endMax', f.sub('contentEnd', LAST_LITERALS)),
    f.set('anchor', 'from'),
  )
}

/** What a token has no room for. Uses `left`. */
function writeLength(f: Instructions, length: string): Code {
  return f.when(
    f.atLeast(length, 15),
    f.set('left', f.sub(length, 15)),
    f.block(
      'length written',
      f.loop(
        'bytes of length',
        f.goIf('length written', f.less('left', 255)),
        f.store8('to', 255),
        f.set('to', f.add('to', 1)),
        f.set('left', f.sub('left', 255)),
        f.go('bytes of length'),
      ),
    ),
    f.store8('to', 'left'),
    f.set('to', f.add('to', 1)),
  )
}

/** From `anchor` to `to`, sixteen at a time and so some too many, which are overwritten. Uses `left`. */
function copyLiterals(f: Instructions): Code {
  return f.seq(
    f.set('left', f.add('to', 'literals')),
    f.loop(
      'literals',
      f.copy8('to', 'anchor'),
      f.copy8(f.add('to', 8), f.add('anchor', 8)),
      f.set('to', f.add('to', 16)),
      f.set('anchor', f.add('anchor', 16)),
      f.goIf('literals', f.less('to', 'left')),
    ),
    f.set('to', 'left'),
  )
}

/** The literals from `anchor` on and the match from `position` to `end`, which are alike at `found`. Then `anchor` is `end`. */
export function writeSequence(f: Instructions): Code {
  return f.seq(
    f.set('literals', f.sub('position', 'anchor')),
    f.set('more', f.sub(f.sub('end', 'position'), 4)),
    f.store8('to', f.add(f.shl(f.min('literals', 15), 4), f.min('more', 15))),
    f.set('to', f.add('to', 1)),
    writeLength(f, 'literals'),
    copyLiterals(f),
    f.store16('to', f.sub('position', 'found')),
    f.set('to', f.add('to', 2)),
    writeLength(f, 'more'),
    f.set('anchor', 'end'),
  )
}

/** What is left are literals. The result is the block's end. */
export function writeEnd(f: Instructions): Code {
  return f.seq(
    f.set('literals', f.sub('contentEnd', 'anchor')),
    f.store8('to', f.shl(f.min('literals', 15), 4)),
    f.set('to', f.add('to', 1)),
    writeLength(f, 'literals'),
    copyLiterals(f),
    f.value('to'),
  )
}

/** Sets `end`, up to where all is alike from `first` and from `behind` on. Uses `other`. */
export function extendForward(f: Instructions, first: Value, behind: Value): Code {
  return f.seq(
    f.set('end', first),
    f.set('other', behind),
    f.block(
      'forward done',
      f.block(
        'near the end',
        f.loop(
          'eight bytes',
          f.goIf('near the end', f.atLeast(f.add('end', 8), 'endMax')),
          f.when(
            f.not(f.same8('end', 'other')),
            f.set('end', f.add('end', f.alike8('end', 'other'))),
            f.go('forward done'),
          ),
          f.set('end', f.add('end', 8)),
          f.set('other', f.add('other', 8)),
          f.go('eight bytes'),
        ),
      ),
      f.loop(
        'one byte',
        f.goIf('forward done', f.atLeast('end', 'endMax')),
        f.goIf('forward done', f.not(f.equal(f.load8('end'), f.load8('other')))),
        f.set('end', f.add('end', 1)),
        f.set('other', f.add('other', 1)),
        f.go('one byte'),
      ),
    ),
  )
}

/** Moves `position` and `found` back over what is alike in front of them. Without a branch that is hard to foretell. Uses `other`. */
export function extendBackward(f: Instructions): Code {
  return f.loop(
    'back',
    f.set('other', f.alikeBefore8('position', 'found')),
    f.set('other', f.min(f.min('other', f.sub('position', 'anchor')), f.sub('found', 'from'))),
    f.set('position', f.sub('position', 'other')),
    f.set('found', f.sub('found', 'other')),
    f.goIf('back', f.equal('other', 8)),
  )
}
