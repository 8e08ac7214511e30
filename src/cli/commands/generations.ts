// `litestream generations`: each generation of a database's replicas, when it began and ended, and how far it lags behind.
//
// lag = newest change of the database file or its WAL (now, for a replica's URL) - newest object of the generation, as the original. It
// may be negative then. But files change without a commit (a checkpoint), and the storage has a clock of its own; so where the newest object
// says which state it stands for, the lag is 0 while the database is in that very state, and else counts from the moment at which that
// state was seen. A generation with no object that counts is not listed: nothing can be restored from it, and it has no times.

import { stat } from 'node:fs/promises'
import { LitestreamError, messageOf } from '../../errors.js'
import { generationPrefix, parseKey } from '../../model/layout.js'
import type { Provenance } from '../../model/provenance.js'
import type { ListedObject } from '../../model/timeline.js'
import type { ReplicaClient } from '../../replica/client.js'
import { ProvenanceReader } from '../../restore/provenance-reader.js'
import { standsAt } from '../../source/compare.js'
import { commonFlags, parseCommandLine, stringFlag } from '../args.js'
import { type CommandIo, EXIT_FAILURE } from '../io.js'
import { listGenerations, printList, resolveRequest } from '../listing.js'
import { formatLag, formatSeconds } from '../output.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, replica: stringFlag() }
const HEADER = ['name', 'generation', 'lag', 'start', 'end']

const USAGE = {
  forms: ['generations [flags] DB_PATH', 'generations [flags] REPLICA_URL'],
  about: 'generations lists the generations of the replicas of a database, or of one replica by its URL.',
  flags: [['-replica NAME', 'Only this replica of the database.']],
  examples: [
    ['generations /data/app.db', 'Of all replicas of a database of the configuration.'],
    ['generations s3://bucket/app', 'Of a replica, without a configuration.'],
  ],
  success: 'every replica was listed',
} as const

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const request = await resolveRequest(parsed.operands, parsed.flags, io, 'database path or replica URL required')
  const changedAtMs = request.database ? await lastChangeMs(request.database.path) : Date.now()

  return printList(
    request,
    HEADER,
    'cannot list generations',
    async (client, replica) => {
      const rows: string[][] = []
      const provenance = new ProvenanceReader(client, io.signal)
      for (const generation of await listGenerations(client, io.signal)) {
        const bounds = await boundsOf(client, generation, io.signal)
        if (!bounds) continue
        const { first, last, newest } = bounds
        const stands = request.database && (await provenance.read(newest))
        const lag = formatLag(stands ? knownLagMs(request.database.path, stands, changedAtMs) : changedAtMs - last)
        rows.push([replica.name, generation, lag, formatSeconds(first), formatSeconds(last)])
      }
      return rows
    },
    io,
  )
}

function knownLagMs(path: string, stands: Provenance, changedAtMs: number): number {
  return standsAt(path, stands) ? 0 : Math.max(0, changedAtMs - stands.observedAtMs)
}

/**
 * The storage's oldest and newest times, and the newest object by place: a segment comes after the snapshot of its index. Folded while
 * the listing streams by. Undefined when there is nothing.
 */
async function boundsOf(client: ReplicaClient, generation: string, signal: AbortSignal) {
  let found: { first: number; last: number; newest: ListedObject; place: number[] } | undefined
  for await (const object of client.list(generationPrefix(generation), signal)) {
    const name = parseKey(object.key)
    if (!name) continue
    const place = [name.index, name.kind === 'segment' ? name.offset : -1]
    const { modifiedAtMs } = object
    found ??= { first: modifiedAtMs, last: modifiedAtMs, newest: object, place }
    found.first = Math.min(found.first, modifiedAtMs)
    found.last = Math.max(found.last, modifiedAtMs)
    if (isAfter(place, found.place)) Object.assign(found, { newest: object, place })
  }
  return found
}

const isAfter = ([index = 0, offset = 0]: number[], [thanIndex = 0, thanOffset = 0]: number[]): boolean =>
  index > thanIndex || (index === thanIndex && offset > thanOffset)

/** Only the files' times are asked for; nothing is opened. */
async function lastChangeMs(path: string): Promise<number> {
  const database = await modifiedAtMs(path)
  if (database === undefined) {
    throw new LitestreamError('NOT_FOUND', `stat ${path}: no such file or directory; a replica's URL lists without it`)
  }
  return Math.max(database, (await modifiedAtMs(`${path}-wal`)) ?? 0)
}

async function modifiedAtMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LitestreamError('LOCAL', messageOf(cause), { cause })
  }
}
