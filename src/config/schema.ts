// Every key of the configuration, its kind and default: from the document to Config. Keys beyond Litestream 0.3.13:
// `max-wal-size`, `max-spool-size`, `allow-checkpoint` and `heal` of a database, `max-behind`, `on-conflict` and `take-over-after` of a replica,
// `socket.path`, and root keys that begin with `x-`, which are ignored so that anchors have a place.

import { dirname } from 'node:path'
import type { ConfigDocument, MapReader } from './document.js'
import { expandPath, isUrl, type Surroundings } from './paths.js'
import { buildReplica, type ReplicaFields, replicaDefaults } from './replica.js'
import type { Config, DatabaseConfig, LoggingConfig, ReplicaConfig } from './types.js'
import { parseBytes, parseDurationMs } from './units.js'

export const databaseDefaults = {
  monitorIntervalMs: 1_000,
  checkpointIntervalMs: 60_000,
  minCheckpointPageCount: 1_000,
  maxCheckpointPageCount: 10_000,
  maxWalBytes: 128 * 2 ** 20,
  maxSpoolBytes: 2 ** 30,
  allowCheckpoint: false,
  heal: true,
} as const

const ROOT_KEYS = ['addr', 'dbs', 'exec', 'access-key-id', 'secret-access-key', 'logging', 'socket']
const SOCKET_KEYS = ['path']
const LOGGING_KEYS = ['level', 'type', 'stderr']
const DATABASE_KEYS = [
  'path',
  'meta-path',
  'monitor-interval',
  'checkpoint-interval',
  'min-checkpoint-page-count',
  'max-checkpoint-page-count',
  'max-wal-size',
  'max-spool-size',
  'allow-checkpoint',
  'heal',
  'replicas',
]
const REPLICA_KEYS = [
  'type',
  'name',
  'url',
  'path',
  'sync-interval',
  'snapshot-interval',
  'retention',
  'retention-check-interval',
  'validation-interval',
  'max-behind',
  'on-conflict',
  'take-over-after',
]
const S3_KEYS = [
  'bucket',
  'region',
  'endpoint',
  'access-key-id',
  'secret-access-key',
  'force-path-style',
  'skip-verify',
]
/** Of sun_path, without the zero at its end. */
export const SOCKET_PATH_BYTES_MAX = 107
/** Known to the original, of replica types that are refused by name. */
const REFUSED_TYPE_KEYS = ['account-name', 'account-key', 'host', 'user', 'password', 'key-path']

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The whole document. Problems are left in it: call throwProblems afterwards. */
export function readConfig(document: ConfigDocument, around: Surroundings): Config {
  const root = document.root()
  root.refuseOthers(ROOT_KEYS, (key) => (key.startsWith('x-') ? '' : undefined))
  const credentials = { accessKeyId: root.text('access-key-id'), secretAccessKey: root.text('secret-access-key') }
  const addr = root.text('addr')
  if (addr !== '' && !/^(?:\[[^[\]]*\]|[^:[\]]*):[^:]+$/.test(addr)) {
    root.report('addr', `must specify port for bind address: "${addr}"`)
  }

  const databases: DatabaseConfig[] = []
  for (const reader of root.maps('dbs', 'database')) {
    const database = readDatabase(reader, credentials, around)
    if (!database) continue
    if (databases.some(({ path }) => path === database.path)) {
      reader.report('path', `duplicate database path: ${database.path}`)
    }
    databases.push(database)
  }
  const logging = readLogging(root.map('logging'))
  const socketPath = readSocket(root.map('socket'), databases, around)
  return { file: document.file, addr, exec: root.text('exec'), logging, socketPath, databases }
}

function readSocket(reader: MapReader, databases: readonly DatabaseConfig[], around: Surroundings): string | undefined {
  reader.refuseOthers(SOCKET_KEYS)
  const text = reader.text('path')
  if (text === '') return undefined
  const path = expandPath(text, around)
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    reader.report('path', `a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes: ${path}`)
  }
  const beside = databases.find((database) => dirname(database.path) === dirname(path))
  if (beside) {
    reader.report('path', `the socket must not lie beside a database (${beside.path}); nothing is written there`)
  }
  return path
}

function readLogging(reader: MapReader): LoggingConfig {
  reader.refuseOthers(LOGGING_KEYS)
  const levels = { '': 'info', debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error' } as const
  const level = reader.text('level').toLowerCase()
  if (!Object.hasOwn(levels, level)) reader.report('level', 'logging level must be DEBUG, INFO, WARN or ERROR')
  const type = reader.text('type')
  if (!['', 'text', 'json'].includes(type)) reader.report('type', 'logging type must be text or json, in lower case')
  return {
    level: levels[level as keyof typeof levels] ?? 'info',
    type: type === 'json' ? 'json' : 'text',
    stderr: reader.boolean('stderr') ?? false,
  }
}

function readDatabase(reader: MapReader, credentials: Credentials, around: Surroundings): DatabaseConfig | undefined {
  reader.refuseOthers(DATABASE_KEYS, (key) =>
    key === 'replica'
      ? 'unknown key "replica"; Litestream 0.3 has a list: write "replicas:" and begin each replica with "- "'
      : undefined,
  )
  const rawPath = reader.text('path')
  if (rawPath === '') reader.report('path', 'database path required')
  else if (isUrl(rawPath)) reader.report('path', 'database path cannot be a url')
  const metaPath = reader.text('meta-path')
  const duration = (key: string, initial: number): number => reader.quantity(key, initial, parseDurationMs)

  const monitorIntervalMs = duration('monitor-interval', databaseDefaults.monitorIntervalMs)
  if (monitorIntervalMs <= 0) reader.report('monitor-interval', 'monitor-interval must be longer than 0')
  const minCheckpointPageCount = reader.integer('min-checkpoint-page-count', databaseDefaults.minCheckpointPageCount)
  if (minCheckpointPageCount <= 0) {
    reader.report('min-checkpoint-page-count', 'minimum checkpoint page count required (it must be above 0)')
  }
  const maxCheckpointPageCount = reader.integer('max-checkpoint-page-count', databaseDefaults.maxCheckpointPageCount)
  if (maxCheckpointPageCount < 0) reader.report('max-checkpoint-page-count', 'must not be negative; 0 turns it off')
  const maxWalBytes = reader.quantity('max-wal-size', databaseDefaults.maxWalBytes, parseBytes)
  if (maxWalBytes <= 0) reader.report('max-wal-size', 'max-wal-size must be above 0')
  const maxSpoolBytes = reader.quantity('max-spool-size', databaseDefaults.maxSpoolBytes, parseBytes)
  if (maxSpoolBytes <= 0) reader.report('max-spool-size', 'max-spool-size must be above 0')

  const replicas: ReplicaConfig[] = []
  for (const replicaReader of reader.maps('replicas', 'replica')) {
    const replica = readReplica(replicaReader, credentials, around)
    if (!replica) continue
    if (replicas.some(({ name }) => name === replica.name)) {
      replicaReader.report(
        'name',
        `duplicate replica name: "${replica.name}"; give each replica of a database its own "name"`,
      )
    }
    replicas.push(replica)
  }
  if (rawPath === '') return undefined
  return {
    path: expandPath(rawPath, around),
    metaPath: metaPath === '' ? undefined : expandPath(metaPath, around),
    monitorIntervalMs,
    checkpointIntervalMs: duration('checkpoint-interval', databaseDefaults.checkpointIntervalMs),
    minCheckpointPageCount,
    maxCheckpointPageCount,
    maxWalBytes,
    maxSpoolBytes,
    allowCheckpoint: reader.boolean('allow-checkpoint') ?? databaseDefaults.allowCheckpoint,
    heal: reader.boolean('heal') ?? databaseDefaults.heal,
    replicas,
  }
}

function readReplica(reader: MapReader, credentials: Credentials, around: Surroundings): ReplicaConfig | undefined {
  reader.refuseOthers([...REPLICA_KEYS, ...S3_KEYS, ...REFUSED_TYPE_KEYS, 'age'])
  if (reader.has('age')) {
    reader.report(
      'age',
      'age encryption is not supported by litestream-node; nothing is replicated rather than unencrypted',
    )
  }
  const fields = readFields(reader, credentials)
  if (fields.maxBehindMs !== undefined && fields.maxBehindMs <= 0) {
    reader.report('max-behind', 'max-behind must be longer than 0')
  }
  for (const key of ['sync-interval', 'retention-check-interval'] as const) {
    const value = key === 'sync-interval' ? fields.syncIntervalMs : fields.retentionCheckIntervalMs
    const unused = key === 'retention-check-interval' && fields.retentionMs === 0
    if (value <= 0 && !unused) reader.report(key, `${key} must be longer than 0`)
  }
  if (fields.takeOverAfterMs <= 0) reader.report('take-over-after', 'take-over-after must be longer than 0')
  if (!['', 'new-generation', 'stand-by'].includes(reader.text('on-conflict'))) {
    reader.report('on-conflict', 'on-conflict must be new-generation or stand-by')
  }
  // An endpoint that vanishes would send data and credentials to AWS instead.
  if (fields.endpoint === '' && reader.unset('endpoint')) reader.report('endpoint', 'endpoint is empty')
  const replica = buildReplica(fields, around, (field, message) => reader.report(field, message))
  if (replica) {
    const foreign = replica.type === 's3' ? REFUSED_TYPE_KEYS : [...REFUSED_TYPE_KEYS, ...S3_KEYS]
    for (const key of foreign) {
      if (reader.has(key))
        reader.report(key, `"${key}" has no effect on a replica of type ${replica.type}; remove it or change the type`)
    }
  }
  return replica
}

function readFields(reader: MapReader, credentials: Credentials): ReplicaFields {
  const duration = (key: string, initial: number): number => reader.quantity(key, initial, parseDurationMs)
  return {
    type: reader.text('type'),
    name: reader.text('name'),
    url: reader.text('url'),
    path: reader.text('path'),
    bucket: reader.text('bucket'),
    region: reader.text('region'),
    endpoint: reader.text('endpoint'),
    accessKeyId: reader.text('access-key-id') || credentials.accessKeyId,
    secretAccessKey: reader.text('secret-access-key') || credentials.secretAccessKey,
    forcePathStyle: reader.boolean('force-path-style'),
    skipVerify: reader.boolean('skip-verify') ?? false,
    syncIntervalMs: duration('sync-interval', replicaDefaults.syncIntervalMs),
    snapshotIntervalMs: duration('snapshot-interval', replicaDefaults.snapshotIntervalMs),
    retentionMs: duration('retention', replicaDefaults.retentionMs),
    retentionCheckIntervalMs: duration('retention-check-interval', replicaDefaults.retentionCheckIntervalMs),
    validationIntervalMs: duration('validation-interval', replicaDefaults.validationIntervalMs),
    maxBehindMs: reader.has('max-behind') ? duration('max-behind', 0) : undefined,
    onConflict: reader.text('on-conflict') === 'stand-by' ? 'stand-by' : replicaDefaults.onConflict,
    takeOverAfterMs: duration('take-over-after', replicaDefaults.takeOverAfterMs),
  }
}

/** Every key by the place where it stands, for the reference (docs/configuration.md). */
export const configKeys = {
  root: ROOT_KEYS,
  logging: LOGGING_KEYS,
  socket: SOCKET_KEYS,
  database: DATABASE_KEYS,
  replica: REPLICA_KEYS,
  s3: S3_KEYS,
} as const
