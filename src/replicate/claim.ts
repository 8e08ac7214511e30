// Segments by claim: their keys are written only where nothing is yet, so of two writers that would go on from the same place only
// one can. Together with closing an index before the next one opens (see replica-writer) this keeps any two writers apart.

import { isLitestreamError, LitestreamError } from '../errors.js'
import { parseKey, walPrefix } from '../model/layout.js'
import type { Provenance } from '../model/provenance.js'
import { formatMoment } from '../model/target.js'
import { isOurs } from '../plan/claim-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { ProvenanceReader } from '../restore/provenance-reader.js'

/** Another writer has gone on with the generation. The code is EXISTS. */
export class WriterConflict extends LitestreamError {
  constructor(
    readonly key: string,
    /** What the other's object says; undefined for one of another program. */
    readonly other: Provenance | undefined,
    cause: unknown,
    /** For people. */
    readonly who = nameOf(other),
  ) {
    super('EXISTS', `${who} has written ${key}`, { cause, kind: 'person', reason: 'AnotherWriter' })
  }
}

/** Who wrote an object, for people. */
export function nameOf(other: Provenance | undefined): string {
  if (!other) return 'another program'
  const host = other.host === undefined ? '' : ` on ${other.host}`
  return `another writer (${other.writer}, ${other.program}${host}, ${formatMoment(other.observedAtMs)})`
}

/** Store the segment that `mine` describes. Returns its stored size; throws WriterConflict when somebody else's is there. */
export async function claim(
  client: ReplicaClient,
  mine: Provenance & { readonly key: string },
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  try {
    const { size } = await client.put(mine.key, body, { signal, ifAbsent: true })
    return size
  } catch (error) {
    if (!isLitestreamError(error, 'EXISTS')) throw error
    const info = await find(client, mine.key, signal)
    if (!info) {
      // Several wrote at once and the store let nobody win, or what won is gone again.
      const options = { cause: error, reason: 'ConditionalRequestConflict' } as const
      throw new LitestreamError('STORAGE', `${mine.key} was taken a moment ago and is not there`, options)
    }
    const there = await new ProvenanceReader(client, signal).read(info)
    if (isOurs(mine, there)) return info.size
    throw new WriterConflict(mine.key, there, error)
  }
}

async function find(client: ReplicaClient, key: string, signal: AbortSignal) {
  const generation = parseKey(key)?.generation as string
  for await (const info of client.list(walPrefix(generation), signal)) if (info.key === key) return info
  return undefined
}
