// The way from a configuration file, or from the words of the command line, to Config. Every problem is an error with code
// CONFIG; those inside of a file begin with `file:line`, one line each.

import { open } from 'node:fs/promises'
import { LitestreamError, messageOf } from '../errors.js'
import { ConfigDocument } from './document.js'
import { defaultConfigPath, expandPath, type Surroundings } from './paths.js'
import { buildReplica, replicaDefaults } from './replica.js'
import { databaseDefaults, readConfig } from './schema.js'
import type { Config, DatabaseConfig, ReplicaConfig } from './types.js'

const FILE_BYTES_MAX = 1 << 20

export interface LoadOptions extends Surroundings {
  /** Empty or absent: `$LITESTREAM_CONFIG`, else `/etc/litestream.yml`. */
  readonly path?: string | undefined
  /** False for `-no-expand-env`. */
  readonly expandEnv: boolean
}

export async function loadConfig(options: LoadOptions): Promise<Config> {
  const file = expandPath(options.path || defaultConfigPath(options.env), options)
  const document = new ConfigDocument(file, await readText(file), options.env, options.expandEnv)
  const config = readConfig(document, options)
  document.throwProblems()
  return config
}

/** A configuration of one database with default settings, from `replicate DB_PATH REPLICA_URL…`. */
export function configFromUrls(dbPath: string, urls: readonly string[], around: Surroundings): Config {
  const replicas: ReplicaConfig[] = []
  for (const url of urls) {
    const replica = replicaFromUrl(url, around)
    if (replicas.some(({ name }) => name === replica.name)) {
      throw new LitestreamError('CONFIG', `duplicate replica name: "${replica.name}"`)
    }
    replicas.push(replica)
  }
  const database = { path: expandPath(dbPath, around), ...databaseDefaults, replicas }
  return { addr: '', exec: '', logging: { level: 'info', type: 'text', stderr: false }, databases: [database] }
}

/** A replica with default settings, credentials from the environment. */
export function replicaFromUrl(url: string, around: Surroundings): ReplicaConfig {
  const problems: string[] = []
  const replica = buildReplica({ ...replicaDefaults, url }, around, (_, message) => problems.push(message))
  if (!replica) throw new LitestreamError('CONFIG', problems.join('\n'))
  return replica
}

/** The database of the configuration with this path, expanded like those of the file. */
export function findDatabase(config: Config, path: string, around: Surroundings): DatabaseConfig {
  const expanded = expandPath(path, around)
  const database = config.databases.find((candidate) => candidate.path === expanded)
  if (!database) throw new LitestreamError('NOT_FOUND', `database not found in config: ${expanded}`)
  return database
}

/** Every value of a configuration that must not be printed, for the log's `secrets`. */
export function secretsOf(config: Config): string[] {
  const replicas = config.databases.flatMap((database) => database.replicas)
  const secrets = replicas.map((replica) => (replica.type === 's3' ? replica.secretAccessKey : ''))
  return [...new Set(secrets)].filter((secret) => secret !== '')
}

async function readText(file: string): Promise<string> {
  let bytes: Uint8Array
  try {
    bytes = await readBounded(file)
  } catch (cause) {
    if (cause instanceof LitestreamError) throw cause
    throw new LitestreamError('CONFIG', readProblem(file, cause), { cause })
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new LitestreamError('CONFIG', `read ${file}: not UTF-8 text`, { cause })
  }
}

/** Also of what has no size, as a pipe. */
async function readBounded(file: string): Promise<Uint8Array> {
  const handle = await open(file)
  try {
    const chunks: Buffer[] = []
    for (let bytes = 0; ; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536)
      if (bytesRead === 0) return Buffer.concat(chunks)
      bytes += bytesRead
      if (bytes > FILE_BYTES_MAX) {
        throw new LitestreamError(
          'CONFIG',
          `read ${file}: larger than ${FILE_BYTES_MAX} bytes; this is no configuration`,
        )
      }
      chunks.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await handle.close()
  }
}

function readProblem(file: string, cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `config file not found: ${file}`
    case 'EISDIR':
      return `read ${file}: is a directory; Docker makes one when the file to be mounted does not exist on the host`
    case 'EACCES':
      return `open ${file}: permission denied; let the user that runs litestream read it`
    default:
      return `read ${file}: ${messageOf(cause)}`
  }
}
