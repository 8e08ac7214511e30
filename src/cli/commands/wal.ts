// `litestream wal`: each WAL segment of a database's replicas. Index and offset are decimal; the offset counts uncompressed
// bytes, the size is that of the stored, compressed object.

import { isGeneration, walPrefix } from '../../model/layout.js'
import { commonFlags, parseCommandLine, stringFlag, usage } from '../args.js'
import { type CommandIo, EXIT_FAILURE } from '../io.js'
import { listGenerations, listLayout, printList, resolveRequest } from '../listing.js'
import { formatSeconds } from '../output.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, replica: stringFlag(), generation: stringFlag() }
const HEADER = ['replica', 'generation', 'index', 'offset', 'size', 'created']

const USAGE = {
  forms: ['wal [flags] DB_PATH', 'wal [flags] REPLICA_URL'],
  about: 'wal lists the WAL segments in the replicas of a database, or in one replica by its URL.',
  flags: [
    ['-replica NAME', 'Only this replica of the database.'],
    ['-generation NAME', 'Only this generation.'],
  ],
  examples: [
    ['wal /data/app.db', 'Of all replicas of a database of the configuration.'],
    ['wal -generation 0123456789abcdef s3://bucket/app', 'Of one generation of a replica.'],
  ],
  success: 'every replica was listed',
} as const

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const only = parsed.flags.generation
  if (only !== '' && !isGeneration(only)) throw usage(`a generation is 16 lowercase hexadecimal digits, not "${only}"`)
  const request = await resolveRequest(parsed.operands, parsed.flags, io, 'database path required')
  return printList(
    request,
    HEADER,
    'cannot fetch wal segments',
    async (client, replica) => {
      const rows: string[][] = []
      for (const generation of only === '' ? await listGenerations(client, io.signal) : [only]) {
        for (const { name, size, modifiedAtMs } of await listLayout(client, walPrefix(generation), io.signal)) {
          if (name.kind !== 'segment') continue
          const place = [String(name.index), String(name.offset)]
          rows.push([replica.name, generation, ...place, String(size), formatSeconds(modifiedAtMs)])
        }
      }
      return rows
    },
    io,
  )
}
