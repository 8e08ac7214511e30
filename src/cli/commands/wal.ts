// `litestream wal`: each WAL segment of a database's replicas. Index and offset are decimal; the offset counts uncompressed
// bytes, the size is that of the stored, compressed object.

import { isGeneration, parseKey, walPrefix } from '../../model/layout.js'
import { commonFlags, parseCommandLine, stringFlag, usage } from '../args.js'
import { type CommandIo, EXIT_FAILURE } from '../io.js'
import { listGenerations, printList, resolveRequest } from '../listing.js'
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
      const listed: Segments[] = []
      for (const generation of only === '' ? await listGenerations(client, io.signal) : [only]) {
        const segments = new Segments(replica.name, generation)
        for await (const { key, size, modifiedAtMs } of client.list(walPrefix(generation), io.signal)) {
          const name = parseKey(key)
          if (name?.kind === 'segment') segments.add(name.index, name.offset, size, modifiedAtMs)
        }
        listed.push(segments)
      }
      return rowsOf(listed)
    },
    io,
  )
}

/** Four numbers for each segment: there may be half a million of them, and as text they are a hundred megabytes. */
class Segments {
  private readonly numbers: number[] = []

  constructor(
    private readonly replica: string,
    private readonly generation: string,
  ) {}

  add(index: number, offset: number, size: number, modifiedAtMs: number): void {
    this.numbers.push(index, offset, size, modifiedAtMs)
  }

  *rows(): Generator<string[]> {
    const { replica, generation, numbers } = this
    for (let at = 0; at < numbers.length; at += 4) {
      const [index, offset, size] = numbers.slice(at, at + 3).map(String) as [string, string, string]
      yield [replica, generation, index, offset, size, formatSeconds(numbers[at + 3] as number)]
    }
  }
}

/** May be gone through more than once. */
const rowsOf = (listed: readonly Segments[]): Iterable<string[]> => ({
  *[Symbol.iterator]() {
    for (const segments of listed) yield* segments.rows()
  },
})
