// `litestream databases`: the databases of the configuration and the names of their replicas. Touches neither.

import { loadConfig } from '../../config/load.js'
import { commonFlags, parseCommandLine, usage } from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { formatTable } from '../output.js'
import { formatUsage } from '../usage.js'

const USAGE = {
  forms: ['databases [flags]'],
  about: 'databases lists the databases of the configuration file with the names of their replicas.',
  flags: [],
}

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, commonFlags, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  if (parsed.operands.length > 0) throw usage('too many arguments')
  const { config: path, 'no-expand-env': noExpandEnv } = parsed.flags
  const config = await loadConfig({ path, env: io.env, cwd: io.cwd, expandEnv: !noExpandEnv })
  const rows = config.databases.map((database) => [database.path, database.replicas.map(({ name }) => name).join(',')])
  io.stdout.write(formatTable(['path', 'replicas'], rows))
  return EXIT_OK
}
