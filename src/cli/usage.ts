// The help texts. Each shows the configuration file that would be read.

import { defaultConfigPath } from '../config/paths.js'
import type { CommandIo } from './io.js'

export const OVERVIEW = `litestream replicates SQLite databases continuously to S3-compatible storage or to a directory, in the
layout of Litestream 0.3, without writing to the volume of the databases.

Usage:

\tlitestream <command> [flags] [arguments]

The commands are:

\tdatabases    list the databases of the configuration
\tdoctor       try what the configuration needs, and say what to do
\tgenerations  list the generations of a database's replicas
\treplicate    follow databases and keep their replicas up to date
\trestore      bring a database back from a replica
\tsnapshots    list the snapshots of a database's replicas
\tstatus       tell how databases and replicas are
\tverify       prove that replicas restore to what their databases hold
\tversion      print the version
\twal          list the WAL segments of a database's replicas

"litestream <command> -h" explains a command.

Exit status: 0 when the command did what was asked; 1 for every failure, for help, and for no command; 2 when verify could not
decide.
A failure is one line on stderr; the lists print nothing but their table on stdout.
`

export interface CommandUsage {
  /** The forms of the command line, without "litestream". */
  readonly forms: readonly string[]
  readonly about: string
  readonly flags: readonly (readonly [flag: string, meaning: string])[]
  /** Command lines without "litestream", each with what it does. */
  readonly examples: readonly (readonly [line: string, meaning: string])[]
  /** When the exit status is 0. */
  readonly success: string
  /** When it is 2, for the one command that knows it. */
  readonly inconclusive?: string
}

const NO_EXPAND = [
  '-no-expand-env',
  'Take $NAME in the configuration as it stands, instead of the environment variable.',
] as const

export function formatUsage(usage: CommandUsage, io: CommandIo): string {
  const config = ['-config PATH', `Read this configuration file. Default: ${defaultConfigPath(io.env)}`] as const
  const forms = usage.forms.map((form) => `\tlitestream ${form}\n`).join('')
  const flags = [config, NO_EXPAND, ...usage.flags].map(([flag, meaning]) => `\t${flag}\n\t    ${meaning}\n`).join('')
  const examples = usage.examples.map(([line, meaning]) => `\tlitestream ${line}\n\t    ${meaning}\n`).join('')
  const exit = `\t0   ${usage.success}\n\t1   any failure (one line on stderr each), and this help\n`
  const third = usage.inconclusive === undefined ? '' : `\t2   ${usage.inconclusive}\n`
  const head = `${usage.about}\n\nUsage:\n\n${forms}\nFlags (before the arguments):\n\n${flags}`
  return `${head}\nExamples:\n\n${examples}\nExit status:\n\n${exit}${third}`
}
