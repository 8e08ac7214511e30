// From the words behind `litestream` to a command, and from what it throws to a line on stderr and an exit status. Commands are
// imported when they are called: a list must not wait for what only the daemon needs.

import { usage } from './args.js'
import { printForGem } from './gem-errors.js'
import { type CommandIo, type CommandModule, EXIT_FAILURE } from './io.js'
import { printFailure } from './output.js'

const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  databases: () => import('./commands/databases.js'),
  doctor: () => import('./commands/doctor.js'),
  generations: () => import('./commands/generations.js'),
  help: () => import('./commands/help.js'),
  replicate: () => import('./commands/replicate.js'),
  restore: () => import('./commands/restore.js'),
  snapshots: () => import('./commands/snapshots.js'),
  status: () => import('./commands/status.js'),
  verify: () => import('./commands/verify.js'),
  version: () => import('./commands/version.js'),
  wal: () => import('./commands/wal.js'),
}

export async function dispatch(argv: readonly string[], io: CommandIo): Promise<number> {
  // `kamal accessory exec` and people used to an image without an entry point say the program's name twice.
  const words = argv[0] === 'litestream' ? argv.slice(1) : argv
  const name = words[0] ?? ''
  try {
    const command = name === '' || name.startsWith('-') ? 'help' : name
    const load = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
    if (!load) throw usage(`litestream ${name}: unknown command`)
    return await (await load()).run([...words.slice(1)], io)
  } catch (error) {
    printFailure(io, error)
    printForGem(io, name, error)
    return EXIT_FAILURE
  }
}
