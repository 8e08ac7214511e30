// What the commands generations, snapshots and wal share: from the words of the command line to replicas, and from replicas to
// rows. A replica that cannot be listed costs its own rows and the exit status, not those of the others.

import { findDatabase, loadConfig, replicaFromUrl } from '../config/load.js'
import { isUrl } from '../config/paths.js'
import type { DatabaseConfig, ReplicaConfig } from '../config/types.js'
import { LitestreamError } from '../errors.js'
import { GENERATIONS_PREFIX, isGeneration, parseKey } from '../model/layout.js'
import type { ObjectInfo, ReplicaClient } from '../replica/client.js'
import { openReplica } from '../replica/open.js'
import { loadOptions, usage } from './args.js'
import { type CommandIo, EXIT_FAILURE, EXIT_OK } from './io.js'
import { printError, tablePieces } from './output.js'

export interface ListRequest {
  /** Absent when a replica's URL was given. */
  readonly database: DatabaseConfig | undefined
  readonly replicas: readonly ReplicaConfig[]
}

interface ListFlags {
  readonly config: string
  readonly 'no-expand-env': boolean
  readonly replica: string
}

/** `missing` is the error when there is no operand. */
export async function resolveRequest(
  operands: readonly string[],
  flags: ListFlags,
  io: CommandIo,
  missing: string,
): Promise<ListRequest> {
  const [target, ...others] = operands
  if (target === undefined || target === '') throw usage(missing)
  if (others.length > 0) throw usage('too many arguments')
  if (isUrl(target)) {
    if (flags.config !== '') throw usage('cannot specify a replica URL and the -config flag')
    return { database: undefined, replicas: [replicaFromUrl(target, io)] }
  }
  const config = await loadConfig(loadOptions(flags, io))
  const database = findDatabase(config, target, io)
  const replicas = database.replicas.filter(({ name }) => flags.replica === '' || name === flags.replica)
  if (replicas.length === 0 && flags.replica !== '') {
    throw new LitestreamError('NOT_FOUND', `replica "${flags.replica}" not found for database "${database.path}"`)
  }
  return { database, replicas }
}

/** Rows of every replica, in the order of the configuration; printed when all are known, since columns are as wide as their widest cell. */
export async function printList(
  request: ListRequest,
  header: readonly string[],
  failure: string,
  rowsOf: (client: ReplicaClient, replica: ReplicaConfig) => Promise<Iterable<string[]>>,
  io: CommandIo,
): Promise<number> {
  const results = await Promise.allSettled(
    request.replicas.map(async (replica) => {
      const client = await openReplica(replica)
      try {
        return await rowsOf(client, replica)
      } finally {
        await client.close()
      }
    }),
  )
  for (const [position, result] of results.entries()) {
    if (result.status === 'fulfilled') continue
    const replica = (request.replicas[position] as ReplicaConfig).name
    printError(io, failure, { db: request.database?.path, replica, error: result.reason })
  }
  const rows = {
    *[Symbol.iterator]() {
      for (const result of results) if (result.status === 'fulfilled') yield* result.value
    },
  }
  for (const piece of tablePieces(header, rows)) io.stdout.write(piece)
  return results.every(({ status }) => status === 'fulfilled') ? EXIT_OK : EXIT_FAILURE
}

export async function listGenerations(client: ReplicaClient, signal: AbortSignal): Promise<string[]> {
  return (await client.listNames(GENERATIONS_PREFIX, signal)).filter(isGeneration)
}

export interface ListedObject extends ObjectInfo {
  readonly name: NonNullable<ReturnType<typeof parseKey>>
}

/** The objects of the layout below `prefix`, in key order; anything else is passed over. */
export async function listLayout(client: ReplicaClient, prefix: string, signal: AbortSignal): Promise<ListedObject[]> {
  const objects: ListedObject[] = []
  for await (const object of client.list(prefix, signal)) {
    const name = parseKey(object.key)
    if (name) objects.push({ ...object, name })
  }
  return objects
}
