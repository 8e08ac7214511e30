// Compresses one LZ4 block like lz4-program, and searches longer for fewer bytes: of each hash of four bytes it knows the last two places
// instead of one, it remembers every place, and before it takes a match of less than six bytes it looks whether one of the next two
// positions has a longer one.
//
// Measured with the segments of the benchmark's load *big*, blocks of 1.5 MiB, processor time: 0.448 of the bytes are left at 180 MB/s, where
// the quick search that remembers every place leaves 0.465 at 280 MB/s (level 3 of the lz4 tool: 0.443 at 94 MB/s). What else was tried, the
// share in blocks of 1 MiB: two places without looking ahead 0.461 at 190; looking ahead of matches of any length 1 % less than here in 0.92 of
// the speed for nothing; four places in buckets of 64 bits 0.450 at 148; chains of four places, as the tool has them, 0.452 at 120; a hash
// of five bytes 0.478.
//
// The table (see lz4-parts) holds 32 bits for each hash, which are two places:
//
//   bits    holds
//   0-15    the low half of the last place with this hash
//   16-31   that of the one before it
//
// The place meant is the one that is less than 64 KiB back; whether the bytes there are alike is looked at anyway. So there are no empty
// slots, and a place that lies before the content is not taken.

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
import type { Code, FunctionText, Instructions } from './wasm-assembler.js'

const HALF = 0xffff
/** A match of so many bytes is taken without a look at what the next positions have. */
const GOOD_BYTES = 6
/** So many positions are looked at behind one with a shorter match. */
const LOOK_AHEAD = 2

/** `at` becomes the last place of its hash, whose slot is in `slot`. */
const remember = (f: Instructions): Code => f.store32('slot', f.add(f.shl(f.load32('slot'), 16), f.and('at', HALF)))

/** If more than `best` bytes are alike at `at` and at the place in this half of the slot, that is `best` and `bestFound`. */
function tryPlace(f: Instructions, halfOfSlot: Code): Code {
  const lastFour = (place: string): Code => f.load32(f.sub(f.add(place, 'best'), 3))
  return f.seq(
    f.set('back', f.and(f.sub('at', f.load16(halfOfSlot)), HALF)),
    f.set('place', f.sub('at', 'back')),
    f.when(
      // Of unsigned numbers: not 0 and not more than there is in front.
      f.and(f.less(f.sub('back', 1), f.sub('at', 'from')), f.equal(lastFour('at'), lastFour('place'))),
      extendForward(f, 'at', 'place'),
      f.when(f.less('best', f.sub('end', 'at')), f.set('best', f.sub('end', 'at')), f.set('bestFound', 'place')),
    ),
  )
}

/** Sets `position`, `found` and `end` to a match; leaves `matches done` when there are none any more. All places before `at` are remembered. */
function search(f: Instructions): Code {
  return f.seq(
    f.set('misses', 1 << MISSES_A_STEP_BITS),
    f.set('best', 3),
    f.block(
      'chosen',
      f.loop(
        'search',
        f.when(f.atLeast('at', 'startEnd'), f.goIf('matches done', f.equal('best', 3)), f.go('chosen')),
        f.set('slot', slotOf(f, f.load32('at'))),
        f.set('bestFound', 0),
        tryPlace(f, f.value('slot')),
        tryPlace(f, f.add('slot', 2)),
        remember(f),
        f.when(
          'bestFound',
          f.set('position', 'at'),
          f.set('found', 'bestFound'),
          f.set('at', f.add('at', 1)),
          f.goIf('search', f.less('best', GOOD_BYTES)),
          f.go('chosen'),
        ),
        f.when(
          f.less(3, 'best'),
          f.set('at', f.add('at', 1)),
          f.goIf('search', f.atMost(f.sub('at', 'position'), LOOK_AHEAD)),
          f.go('chosen'),
        ),
        f.set('at', f.add('at', f.shr('misses', MISSES_A_STEP_BITS))),
        f.set('misses', f.add('misses', 1)),
        f.go('search'),
      ),
    ),
    f.set('end', f.add('position', 'best')),
  )
}

/** Every place up to `end`. */
function rememberPlaces(f: Instructions): Code {
  return f.block(
    'remembered',
    f.loop(
      'place',
      f.goIf('remembered', f.atLeast('at', 'end')),
      f.set('slot', slotOf(f, f.load32('at'))),
      remember(f),
      f.set('at', f.add('at', 1)),
      f.go('place'),
    ),
  )
}

export const COMPRESS_DEEP: FunctionText = {
  name: 'compressDeep',
  parameters: ['from', 'length', 'to'],
  variables: [...COMMON_VARIABLES, 'at', 'back', 'place', 'best', 'bestFound'],
  body: (f) =>
    f.seq(
      begin(f),
      f.set('at', f.add('from', 1)),
      f.block(
        'matches done',
        f.loop(
          'match',
          search(f),
          extendBackward(f),
          writeSequence(f),
          f.goIf('matches done', f.atLeast('end', 'startEnd')),
          rememberPlaces(f),
          f.go('match'),
        ),
      ),
      writeEnd(f),
    ),
}
