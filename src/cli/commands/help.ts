// `litestream help`, and a command line without a command: the overview. The exit status is 1, as in the original, so that a
// script whose command got lost does not pass.

import { type CommandIo, EXIT_FAILURE } from '../io.js'
import { OVERVIEW } from '../usage.js'

export async function run(_args: string[], io: CommandIo): Promise<number> {
  io.stdout.write(OVERVIEW)
  return EXIT_FAILURE
}
