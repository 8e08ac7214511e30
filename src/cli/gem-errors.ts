// What makes the litestream gem (Ruby, 0.14) notice that a list failed. It drops stderr and the exit status, and reads an empty
// stdout as an empty list: its dashboard then shows no databases, and its verification job verifies none and succeeds. It raises
// only for a table of one row with the columns `level` (ERROR) and `error`, so that is printed where the gem is the caller, which
// LITESTREAM_INSTALL_DIR tells. The gem splits cells at ASCII white space; the spaces of the message are no-break spaces.

import { secretsIn } from '../config/secrets.js'
import { messageOf } from '../errors.js'
import { redact } from '../log-format.js'
import type { CommandIo } from './io.js'

/** The commands whose stdout the gem reads as a table. */
const TABLES = ['databases', 'generations', 'snapshots', 'wal']
const NO_BREAK_SPACE = '\u00a0'

/** For a command that failed before it printed its table. */
export function printForGem(io: CommandIo, command: string, error: unknown): void {
  if (!io.env.LITESTREAM_INSTALL_DIR || !TABLES.includes(command)) return
  const message = redact(messageOf(error), secretsIn(io.env)).replaceAll('\n', '; ').replaceAll(/\s/g, NO_BREAK_SPACE)
  io.stdout.write(`level error\nERROR ${message}\n`)
}
