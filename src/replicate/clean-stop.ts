// The mark of a clean stop: the last writer of a generation says that its newest object is the last one it has written. On a store
// without conditional writes that is the only leave to go on with a generation; for a writer that stands by it means that it need
// not wait any longer. It lies outside of `generations/`, where no other program of this layout looks.
//
//   litestream-node/clean-stop.json    {"version":1,"newest":KEY,"writer":HEX,"takenBy":HEX}
//
// Taking it without conditional writes: put our name into it, wait until whoever does the same must have done it, and look whose
// name is there. Writers that start at the same moment so agree on one. A mark that was taken counts for nobody else.

import { type TimerClock, wait } from '../clock.js'
import { isLitestreamError } from '../errors.js'
import type { ReplicaClient } from '../replica/client.js'

export const CLEAN_STOP_KEY = 'litestream-node/clean-stop.json'
/** Longer than a small request takes, retries by the transport included. */
const SETTLE_MS = 3000
const BYTES_MAX = 64 << 10

export interface CleanStop {
  /** The key of the newest object. */
  readonly newest: string
  readonly writer: string
  readonly takenBy?: string | undefined
}

/** Undefined when there is none that this version understands. */
export async function readCleanStop(client: ReplicaClient, signal: AbortSignal): Promise<CleanStop | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of await client.get(CLEAN_STOP_KEY, { signal })) {
      bytes += chunk.length
      if (bytes > BYTES_MAX) return undefined
      chunks.push(chunk)
    }
  } catch (error) {
    if (isLitestreamError(error, 'NOT_FOUND')) return undefined
    throw error
  }
  return parseCleanStop(Buffer.concat(chunks).toString())
}

export function parseCleanStop(text: string): CleanStop | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { version, newest, writer, takenBy } = value as Record<string, unknown>
  if (version !== 1 || typeof newest !== 'string' || typeof writer !== 'string') return undefined
  if (takenBy !== undefined && typeof takenBy !== 'string') return undefined
  return { newest, writer, takenBy }
}

export async function writeCleanStop(client: ReplicaClient, mark: CleanStop, signal: AbortSignal): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify({ version: 1, ...mark }))
  await client.put(CLEAN_STOP_KEY, once(bytes), { signal })
}

/** Whether `writer` may go on behind `newest`, where the store has no conditional writes. */
export async function takeCleanStop(
  client: ReplicaClient,
  newest: string,
  writer: string,
  clock: TimerClock,
  signal: AbortSignal,
): Promise<boolean> {
  const mark = await readCleanStop(client, signal)
  if (mark?.newest !== newest || (mark.takenBy !== undefined && mark.takenBy !== writer)) return false
  await writeCleanStop(client, { ...mark, takenBy: writer }, signal)
  await wait(clock, SETTLE_MS, signal)
  const taken = await readCleanStop(client, signal)
  return taken?.newest === newest && taken.takenBy === writer
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
