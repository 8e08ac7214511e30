// `litestream version`: one bare word, which the litestream gem and scripts read. Other words are ignored.

import { VERSION } from '../../version.js'
import { type CommandIo, EXIT_OK } from '../io.js'

export async function run(_args: string[], io: CommandIo): Promise<number> {
  io.stdout.write(`v${VERSION}\n`)
  return EXIT_OK
}
