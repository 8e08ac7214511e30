// The reference of the configuration, docs/configuration.md: what each key means, as a table that a test holds against the schema.
// Keys, and the defaults of quantities, come from the schema itself; a key without words here, or words without a key, fail.

import { replicaDefaults } from '../../src/config/replica.js'
import { type configKeys, databaseDefaults } from '../../src/config/schema.js'
import { defaultMaxBehindMs } from '../../src/plan/health.js'

export interface KeyWords {
  readonly type: 'text' | 'duration' | 'size' | 'whole number' | 'true or false' | 'list' | 'keys below'
  readonly default: string
  /** Valid YAML of the value; tried by the test. */
  readonly example: string
  readonly meaning: string
  /** What 0.3.13 does with it. `same` where nothing differs; `ours` for a key that it does not know. */
  readonly original: string
}

type Words = { readonly [place in keyof typeof configKeys]: Readonly<Record<string, KeyWords>> }

function durationText(ms: number): string {
  if (ms === 0) return '0 (off)'
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms}ms`
}

const key = (
  type: KeyWords['type'],
  fallback: string,
  example: string,
  meaning: string,
  original = 'same',
): KeyWords => ({ type, default: fallback, example, meaning, original })

const database = databaseDefaults
const replica = replicaDefaults

export const configWords: Words = {
  root: {
    addr: key(
      'text',
      'off',
      '":9090"',
      'Serve metrics, `/healthz` and `/readyz` at `host:port`; `:port` means every interface.',
      'also serves pprof there; ours does not',
    ),
    dbs: key(
      'list',
      'empty',
      '[]',
      'The databases. Each begins with `- path:`.',
      'a null entry crashes it; ours names the line',
    ),
    exec: key(
      'text',
      'none',
      'bin/rails server',
      'Start this program once replication runs, and stop with it. Quotes work, a shell does not.',
      'loses the last second when the program fails; ours syncs first',
    ),
    'access-key-id': key('text', 'none', 'AKIAEXAMPLE', 'For every S3 replica without one of its own.'),
    'secret-access-key': key('text', 'none', 'example', 'For every S3 replica without one of its own.'),
    logging: key('keys below', '', '{}', 'See [Logging](#logging).'),
    socket: key('keys below', '', '{}', 'See [Control socket](#control-socket).', 'ours'),
  },
  logging: {
    level: key(
      'text',
      'info',
      'debug',
      'debug, info, warn or error, in any case.',
      'takes anything else for info; ours refuses it',
    ),
    type: key('text', 'text', 'json', 'text or json.', 'crashes on anything else; ours refuses it'),
    stderr: key(
      'true or false',
      'false',
      'true',
      'Log to stderr instead of stdout (`replicate` only; the other commands log to stderr always).',
    ),
  },
  socket: {
    path: key(
      'text',
      'derived',
      '/run/litestream.sock',
      'Unix socket on which the daemon answers `databases` and `status`. Default: below `meta-path` where one is set, else in the temporary directory under a name made from the path of this file. Never on a volume of a database.',
      'ours',
    ),
  },
  database: {
    path: key(
      'text',
      'required',
      '/data/app.db',
      'The database: absolute, `~/…`, or relative to the working directory.',
      'accepts one twice, and an empty one; ours refuses both',
    ),
    'meta-path': key(
      'text',
      'none',
      '/var/lib/litestream',
      "A directory outside of the database's volume for what helps to go on after a restart, and for changes that wait and do not fit into memory (else the temporary directory).",
      'keeps its copy of the WAL there, beside the database by default; `~` is not expanded',
    ),
    'monitor-interval': key(
      'duration',
      durationText(database.monitorIntervalMs),
      '1s',
      'Look for changes at least this often; file events come sooner.',
      '0 turns replication off; ours refuses it',
    ),
    'checkpoint-interval': key(
      'duration',
      durationText(database.checkpointIntervalMs),
      '1m',
      'Concerns checkpoints of our own (`allow-checkpoint`).',
      'checkpoints this often',
    ),
    'min-checkpoint-page-count': key(
      'whole number',
      String(database.minCheckpointPageCount),
      '1000',
      'Pages in the WAL from which it is given room to restart.',
      'checkpoints past it',
    ),
    'max-checkpoint-page-count': key(
      'whole number',
      String(database.maxCheckpointPageCount),
      '10000',
      'With `allow-checkpoint`: pages past which a PASSIVE checkpoint is run; 0 turns it off.',
      'forces a RESTART checkpoint, which stops writers',
    ),
    'max-wal-size': key(
      'size',
      `${database.maxWalBytes / 2 ** 20}MiB`,
      '256MiB',
      'A WAL of this size is given every chance to restart, however fast it grows.',
      'ours',
    ),
    'max-spool-size': key(
      'size',
      `${database.maxSpoolBytes / 2 ** 30}GiB`,
      '4GiB',
      'So much may wait on disk for each replica that cannot be reached. Past it what it lacks is found by comparison, or copied anew.',
      'ours',
    ),
    'allow-checkpoint': key(
      'true or false',
      String(database.allowCheckpoint),
      'true',
      'Run PASSIVE checkpoints for an application that never does. Needs a writable volume, and is the only thing that writes there.',
      'ours; it always checkpoints',
    ),
    heal: key(
      'true or false',
      String(database.heal),
      'false',
      'After lost continuity ship what differs, instead of a new generation with a snapshot.',
      'ours; it begins a new generation',
    ),
    replicas: key(
      'list',
      'empty',
      '[]',
      'Where to. Each begins with `- type:`, `- url:` or `- path:`.',
      'a null entry crashes it; ours names the line',
    ),
  },
  replica: {
    type: key(
      'text',
      's3 or file',
      's3',
      '`s3`, or `file` for a directory. An `url` tells it; `file` where neither is given.',
      'also abs, gcs and sftp; ours refuses them by name',
    ),
    name: key(
      'text',
      'the type',
      'primary',
      'Each replica of a database needs a name of its own.',
      'checked by `replicate` only; ours always',
    ),
    url: key(
      'text',
      'none',
      's3://bucket/prefix',
      "`s3://BUCKET/PREFIX`, `s3://HOST/PREFIX` with a bucket's host (see [providers](providers.md)), or `file:///DIRECTORY`.",
      'ignores options in it; ours refuses them',
    ),
    path: key(
      'text',
      'none',
      'sqlite/production',
      'S3: prefix of the keys. file: the directory.',
      'S3: a leading slash breaks it; ours drops it',
    ),
    'sync-interval': key(
      'duration',
      durationText(replica.syncIntervalMs),
      '5s',
      'Ship changes at most this often.',
      '0 crashes it; ours refuses it',
    ),
    'snapshot-interval': key(
      'duration',
      durationText(replica.snapshotIntervalMs),
      '6h',
      'A new snapshot this often, if anything changed. 0: only when retention needs one.',
    ),
    retention: key(
      'duration',
      durationText(replica.retentionMs),
      '720h',
      'Any moment this far back can be restored; what no such restore needs is deleted. 0 keeps everything.',
      'deletes by the age of snapshots, and may delete a generation in use',
    ),
    'retention-check-interval': key(
      'duration',
      durationText(replica.retentionCheckIntervalMs),
      '1h',
      'Look for what may go this often; never less often than `retention`.',
      '0 crashes it; ours refuses it',
    ),
    'validation-interval': key(
      'duration',
      durationText(replica.validationIntervalMs),
      '12h',
      'Restore the replica this often and compare it with the database. 0: never.',
      'changes the database and forces checkpoints for it; ours only reads',
    ),
    'max-behind': key(
      'duration',
      `from sync-interval (${durationText(defaultMaxBehindMs(replica.syncIntervalMs))} with its default)`,
      '2m',
      'A replica that lacks a change for longer is unhealthy.',
      'ours',
    ),
    'on-conflict': key(
      'text',
      replica.onConflict,
      'stand-by',
      'When another daemon writes to the same replica: `new-generation` of our own, or `stand-by` until the other has stopped. See [writers](writers.md).',
      "ours; two daemons damage each other's replica",
    ),
    'take-over-after': key(
      'duration',
      durationText(replica.takeOverAfterMs),
      '5m',
      'With `stand-by`: so long a silence of the other writer means that it is gone.',
      'ours',
    ),
  },
  s3: {
    bucket: key('text', 'required', 'myapp-backups', 'Name of the bucket (or as host of the `url`).'),
    region: key(
      'text',
      'told by the host',
      'fsn1',
      'Told by the host of many providers, else us-east-1; on AWS it is looked up.',
      'us-east-1 with any endpoint',
    ),
    endpoint: key(
      'text',
      'AWS',
      'https://fsn1.your-objectstorage.com',
      'Address of the store; `https://` where no scheme is written. Leave the key out for AWS: an empty variable is an error.',
      'an empty one means AWS',
    ),
    'access-key-id': key('text', 'see below', 'AKIAEXAMPLE', 'Of this replica alone.'),
    'secret-access-key': key('text', 'see below', 'example', 'Of this replica alone.'),
    'force-path-style': key(
      'true or false',
      'true with an endpoint',
      'true',
      '`https://endpoint/bucket/key` instead of `https://bucket.endpoint/key`.',
    ),
    'skip-verify': key(
      'true or false',
      String(replica.skipVerify),
      'false',
      'Accept any TLS certificate: only for tests. `AWS_CA_BUNDLE` names an authority of your own.',
    ),
  },
}

const TITLES: Readonly<Record<keyof Words, string>> = {
  root: 'Root',
  logging: 'Logging',
  socket: 'Control socket',
  database: 'Database',
  replica: 'Replica',
  s3: 'Replica on S3',
}

const HEAD = `# Configuration

Written from the schema by \`UPDATE_DOCS=1 npx vitest run test/unit/config/reference.test.ts\`; edit \`test/support/config-reference.ts\`.

The file is \`/etc/litestream.yml\`, or \`$LITESTREAM_CONFIG\`, or \`-config PATH\`. A commented example:
[litestream.example.yml](../litestream.example.yml). Unknown keys are errors that name the line and the nearest key; root keys that
begin with \`x-\` are ignored, so that anchors have a place. \`litestream doctor\` tries what a file says.

- **Variables.** \`$NAME\` and \`\${NAME}\` are replaced in the whole text first, unless \`-no-expand-env\`. One that is not set is empty,
  and an error where a value is needed. There is no \`\${NAME:-default}\`.
- **Durations** need a unit: \`1h30m\`, \`500ms\`. A day is \`24h\`. (0.3.13 takes a bare number for nanoseconds.)
- **Sizes**: \`128MiB\`, \`64MB\`, or bytes.
- **Credentials** of S3: those of the replica, else of the root, else \`AWS_ACCESS_KEY_ID\` and \`AWS_SECRET_ACCESS_KEY\`, else
  \`LITESTREAM_ACCESS_KEY_ID\` and \`LITESTREAM_SECRET_ACCESS_KEY\`, else profile, web identity, container or machine role of AWS.
  Those are renewed when they end, before their time too when the store refuses them.
- Refused by name, so that nothing is stored where or how it should not be: \`age\`; the types \`abs\`, \`gcs\`, \`sftp\` and their keys.
`

/** The whole text of docs/configuration.md. */
export function configReference(): string {
  const sections = Object.entries(configWords).map(([place, words]) => {
    const rows = Object.entries(words).map(
      ([name, { type, default: fallback, example, meaning, original }]) =>
        `| \`${name}\` | ${type} | ${fallback} | ${meaning} | ${original} | \`${example}\` |\n`,
    )
    const header = '| key | type | default | meaning | Litestream 0.3.13 | example |\n|---|---|---|---|---|---|\n'
    return `\n## ${TITLES[place as keyof Words]}\n\n${header}${rows.join('')}`
  })
  return `${HEAD}${sections.join('')}`
}
