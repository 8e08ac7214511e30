// Decodes one LZ4 block, as a WebAssembly module that is assembled here: into memory that is there, so that nothing becomes garbage. The
// library for decoding allocates each result. What is malformed is found out, and nothing is read or written outside of the
// room that is given and SLACK_BYTES behind it, in which anything may be left.
//
// The form of a block is told in lz4-sequences. Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md

import { HASH, type HashProgram } from './content-hash.js'
import { type Code, compile, type FunctionText, type Instructions, type WasmModule } from './wasm-assembler.js'

export interface Lz4Decoder extends HashProgram {
  /** The end of the content, written from `to` on; 0 when the block is malformed, or its content is longer than `contentBytesMax`. */
  decode(from: number, blockBytes: number, to: number, contentBytesMax: number): number
}

/** To be instantiated: gives a Lz4Decoder. */
export function compileLz4Decoder(isShared: boolean): WasmModule {
  return compile([DECODE, HASH], isShared)
}

/** Adds to `length` what the token had no room for. Uses `left`. */
function readLength(f: Instructions, length: string): Code {
  return f.when(
    f.equal(length, 15),
    f.loop(
      'bytes of length',
      f.goIf('malformed', f.atLeast('from', 'end')),
      f.set('left', f.load8('from')),
      f.set('from', f.add('from', 1)),
      f.set(length, f.add(length, 'left')),
      f.goIf('bytes of length', f.equal('left', 255)),
    ),
  )
}

/** From `source` to `to`, up to `left` and, sixteen at a time, some too many. */
function copy16(f: Instructions, label: string): Code {
  return f.loop(
    label,
    f.copy8('to', 'source'),
    f.copy8(f.add('to', 8), f.add('source', 8)),
    f.set('to', f.add('to', 16)),
    f.set('source', f.add('source', 16)),
    f.goIf(label, f.less('to', 'left')),
  )
}

/** `length` bytes fit behind `to`; sets `left` to where they end. */
function makeRoom(f: Instructions, length: string): Code {
  return f.seq(f.goIf('malformed', f.less(f.sub('roomEnd', 'to'), length)), f.set('left', f.add('to', length)))
}

/** A match that overlaps what it writes repeats it: eight bytes can be copied at once when it is at least that far back. */
function copyMatch(f: Instructions): Code {
  return f.block(
    'match copied',
    f.block('it is near', f.goIf('it is near', f.less('offset', 8)), copy16(f, 'match'), f.go('match copied')),
    f.loop(
      'one byte',
      f.store8('to', f.load8('source')),
      f.set('to', f.add('to', 1)),
      f.set('source', f.add('source', 1)),
      f.goIf('one byte', f.less('to', 'left')),
    ),
  )
}

const DECODE: FunctionText = {
  name: 'decode',
  parameters: ['from', 'length', 'to', 'room'],
  variables: ['end', 'start', 'roomEnd', 'result', 'token', 'literals', 'offset', 'match', 'source', 'left'],
  body: (f) =>
    f.seq(
      f.set('end', f.add('from', 'length')),
      f.set('start', 'to'),
      f.set('roomEnd', f.add('to', 'room')),
      f.block(
        'malformed',
        f.block(
          'done',
          f.loop(
            'sequence',
            f.goIf('malformed', f.atLeast('from', 'end')),
            f.set('token', f.load8('from')),
            f.set('from', f.add('from', 1)),
            f.set('literals', f.shr('token', 4)),
            readLength(f, 'literals'),
            f.goIf('malformed', f.less(f.sub('end', 'from'), 'literals')),
            makeRoom(f, 'literals'),
            f.set('source', 'from'),
            copy16(f, 'literals copied'),
            f.set('to', 'left'),
            f.set('from', f.add('from', 'literals')),
            f.goIf('done', f.equal('from', 'end')),
            f.goIf('malformed', f.less(f.sub('end', 'from'), 2)),
            f.set('offset', f.load16('from')),
            f.set('from', f.add('from', 2)),
            f.goIf('malformed', f.equal('offset', 0)),
            f.goIf('malformed', f.less(f.sub('to', 'start'), 'offset')),
            f.set('source', f.sub('to', 'offset')),
            f.set('match', f.and('token', 15)),
            readLength(f, 'match'),
            f.set('match', f.add('match', 4)),
            makeRoom(f, 'match'),
            copyMatch(f),
            f.set('to', 'left'),
            f.go('sequence'),
          ),
        ),
        f.set('result', 'to'),
      ),
      f.value('result'),
    ),
}
