// `litestream snapshots`: each snapshot of a database's replicas. The index is decimal here (restore's -index is hexadecimal,
// as in the original); the size is that of the stored, compressed object.

import { snapshotsPrefix } from '../../model/layout.js'
import { commonFlags, parseCommandLine, stringFlag } from '../args.js'
import { type CommandIo, EXIT_FAILURE } from '../io.js'
import { listGenerations, listLayout, printList, resolveRequest } from '../listing.js'
import { formatSeconds } from '../output.js'
import { formatUsage } from '../usage.js'

const FLAGS = { ...commonFlags, replica: stringFlag() }
const HEADER = ['replica', 'generation', 'index', 'size', 'created']

const USAGE = {
  forms: ['snapshots [flags] DB_PATH', 'snapshots [flags] REPLICA_URL'],
  about: 'snapshots lists the snapshots in the replicas of a database, or in one replica by its URL.',
  flags: [['-replica NAME', 'Only this replica of the database.']],
  examples: [
    ['snapshots /data/app.db', 'Of all replicas of a database of the configuration.'],
    ['snapshots -replica primary /data/app.db', 'Of one of them.'],
  ],
  success: 'every replica was listed',
} as const

export async function run(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommandLine(args, FLAGS, formatUsage(USAGE, io), io)
  if (!parsed) return EXIT_FAILURE
  const request = await resolveRequest(parsed.operands, parsed.flags, io, 'database path required')
  return printList(
    request,
    HEADER,
    'cannot determine snapshots',
    async (client, replica) => {
      const rows: string[][] = []
      for (const generation of await listGenerations(client, io.signal)) {
        for (const { name, size, modifiedAtMs } of await listLayout(client, snapshotsPrefix(generation), io.signal)) {
          rows.push([replica.name, generation, String(name.index), String(size), formatSeconds(modifiedAtMs)])
        }
      }
      return rows
    },
    io,
  )
}
