// `litestream doctor`: tries, for a configuration, everything that replication and restore will need, and says of each what to do
// when it is not there. Never touches the databases' volumes and never writes below `generations/`. Exit status 0 without errors;
// warnings do not count.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { systemClock } from '../../clock.js'
import { findDatabase, loadConfig, secretsOf } from '../../config/load.js'
import type { Config, DatabaseConfig } from '../../config/types.js'
import { checkDatabase } from '../../doctor/database-checks.js'
import { type Finding, Findings, type Section } from '../../doctor/finding.js'
import { checkSpool } from '../../doctor/host-checks.js'
import { checkReplica, placeName } from '../../doctor/replica-checks.js'
import { isLitestreamError, type LitestreamError } from '../../errors.js'
import { redact } from '../../log-format.js'
import { booleanFlag, commonFlags, type FlagValues, loadOptions, parseCommandLine, usage } from '../args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from '../io.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, json: booleanFlag() }

const USAGE = {
  forms: ['doctor [flags] [DB_PATH]'],
  about: `doctor tries what the configuration needs: databases, this machine, and each replica's storage, for which it writes and deletes
scratch objects under litestream-doctor/. It writes nothing to the volumes of the databases.`,
  flags: [['-json', 'Print the findings as JSON.']],
  examples: [
    ['doctor', 'Everything in /etc/litestream.yml.'],
    ['doctor -config ./litestream.yml /data/app.db', 'One database and its replicas.'],
  ],
  success: 'no errors (warnings do not count)',
} as const

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const { flags, operands } = parsed
  if (operands.length > 1) throw usage('too many arguments')
  const sections: Section[] = []
  const loaded = await configOf(flags, io)
  sections.push(loaded.section)
  const { config } = loaded
  const add = (section: Section): void => {
    sections.push(section)
    if (!flags.json) io.stdout.write(hidden(formatSection(section), config))
  }
  if (!flags.json) io.stdout.write(formatSection(loaded.section))
  if (config) {
    const databases = operands[0] === undefined ? config.databases : [findDatabase(config, operands[0], io)]
    await examine(databases, io, add)
  }
  const findings = sections.flatMap((section) => section.findings)
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length
  const [errors, warnings] = [count('error'), count('warning')]
  if (flags.json) io.stdout.write(hidden(`${JSON.stringify({ errors, warnings, sections }, null, 2)}\n`, config))
  else io.stdout.write(`\n${plural(errors, 'error')}, ${plural(warnings, 'warning')}\n`)
  return errors === 0 ? EXIT_OK : EXIT_FAILURE
}

async function examine(databases: readonly DatabaseConfig[], io: CommandIo, add: (section: Section) => void) {
  const places = new Map<string, string>()
  const directories = databases.map(({ path }) => dirname(path))
  const scratchName = randomBytes(16).toString('hex')
  for (const directory of new Set(databases.map(({ metaPath }) => metaPath ?? tmpdir()))) {
    add({ title: `this machine: ${directory}`, findings: await checkSpool(directory, directories, scratchName) })
  }
  for (const database of databases) {
    const { path, replicas } = database
    const findings = await checkDatabase(path)
    const none = {
      level: 'warning',
      check: 'replicas',
      message: 'it has no replica',
      next: 'add one under "replicas"',
    } as const
    add({ title: `database ${path}`, findings: replicas.length === 0 ? [...findings, none] : findings })
    for (const replica of replicas) {
      io.signal.throwIfAborted()
      const title = `replica ${replica.name} of ${path}`
      const place = placeName(replica)
      const shared = new Findings()
      const other = places.get(place)
      if (other !== undefined) {
        shared.error(
          'place',
          `it is at the same place as ${other}`,
          'give each its own "path": they would overwrite each other',
        )
      }
      places.set(place, title)
      const rest = await checkReplica(replica, {
        databaseDirectory: dirname(path),
        scratchName: randomBytes(16).toString('hex'),
        now: systemClock.now,
        env: io.env,
        ca: certificates(io),
        signal: io.signal,
      })
      add({ title, findings: [...shared.list, ...rest] })
    }
  }
}

function certificates({ env }: CommandIo): string | undefined {
  try {
    return env.AWS_CA_BUNDLE ? readFileSync(env.AWS_CA_BUNDLE, 'utf8') : undefined
  } catch {
    return undefined // opening the replica says so
  }
}

async function configOf(
  flags: FlagValues<typeof FLAGS>,
  io: CommandIo,
): Promise<{ section: Section; config?: Config | undefined }> {
  const found = new Findings()
  const title = 'configuration'
  try {
    const config = await loadConfig(loadOptions(flags, io))
    const { length } = config.databases
    found.ok('config', `${config.file}: ${plural(length, 'database')}`)
    if (length === 0) found.error('config', 'no databases specified in configuration', 'add one under "dbs"')
    return { section: { title, findings: found.list }, config }
  } catch (error) {
    if (!isLitestreamError(error, 'CONFIG')) throw error
    for (const line of (error as LitestreamError).message.split('\n')) {
      found.error('config', line, 'correct the line; an unset variable has to be set where litestream runs')
    }
    return { section: { title, findings: found.list } }
  }
}

function formatSection({ title, findings }: Section): string {
  const lines = findings.map(({ level, check, message, next }) => {
    const line = `  ${level.padEnd(7)}  ${check.padEnd(16)}  ${message}\n`
    return next === undefined ? line : `${line}${' '.repeat(11)}${' '.repeat(18)}-> ${next}\n`
  })
  return `${title}\n${lines.join('')}`
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const hidden = (text: string, config: Config | undefined): string => redact(text, config ? secretsOf(config) : [])
