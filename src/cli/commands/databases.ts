// `litestream databases`: the databases of the configuration and the names of their replicas, and an honest health check: exit status
// 0 only when every database can be read and, where a daemon serves this configuration, each replica is up to date. The table is the
// original's in any case; each fault is one line on stderr. Loads neither SQLite nor the SDK: it runs every few seconds.

import { loadConfig } from '../../config/load.js'
import { commonFlags, loadOptions, parseCommandLine, usage } from '../args.js'
import { findFaults } from '../health-check.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { formatTable, printError } from '../output.js'
import { formatUsage } from '../usage.js'

const USAGE = {
  forms: ['databases [flags]'],
  about: `databases lists the databases of the configuration file with the names of their replicas, and checks their health:
the exit status is 0 when every database can be read and the daemon that serves this configuration, if one does, says
that each replica is up to date; otherwise it is 1, and each fault is a line on stderr.`,
  flags: [],
  examples: [
    ['databases', 'What the configuration has, with the health of each where a daemon serves it.'],
    ['databases -config ./litestream.yml', 'The same of another file.'],
  ],
  success: 'every database and replica is well',
} as const

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, commonFlags, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  if (parsed.operands.length > 0) throw usage('too many arguments')
  const config = await loadConfig(loadOptions(parsed.flags, io))
  const rows = config.databases.map((database) => [database.path, database.replicas.map(({ name }) => name).join(',')])
  io.stdout.write(formatTable(['path', 'replicas'], rows))
  const faults = await findFaults(config)
  for (const { message, ...attributes } of faults) printError(io, message, attributes)
  return faults.length === 0 ? EXIT_OK : EXIT_FAILURE
}
