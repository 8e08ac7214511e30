// One SDK client for all replicas that reach the same store in the same way. Each of its own would cost some 300 KB and half a dozen
// sockets' handshakes, and a daemon of hundreds of databases mostly has one store. It is made with the first replica and ends with the last.
//
// Only so many requests are under way at once, in order of arrival; the others wait here and not for a socket, where the time limit of
// their connection would already run. Parts of large uploads have a row of their own: small segments do not stand behind them. A
// download counts until its answer begins, so a reader that takes its time is in nobody's way.

import type { S3Client } from '@aws-sdk/client-s3'
import { connect, type S3ConnectionOptions } from './s3-connection.js'
import type { S3Place } from './s3-endpoint.js'
import { listenForAbort } from './streams.js'

const REQUESTS_MAX = 32
const PARTS_MAX = 32

export interface SharedClient {
  readonly client: S3Client
  /** Idempotent. */
  release(): void
}

interface Entry {
  readonly client: S3Client
  users: number
}

const entries = new Map<string, Entry>()

export function shareClient(place: S3Place, options: S3ConnectionOptions): SharedClient {
  const key = keyOf(place, options)
  let entry = entries.get(key)
  if (!entry) {
    entry = { client: inTurns(connect(place, options)), users: 0 }
    entries.set(key, entry)
  }
  const { client } = entry
  entry.users++
  let mine: Entry | undefined = entry
  return {
    client,
    release() {
      const left = mine
      mine = undefined
      if (!left || --left.users > 0) return
      entries.delete(key)
      left.client.destroy()
    },
  }
}

/** Everything that a connection is made from. Of the place all but where the objects lie, unless the bucket itself has to be asked for. */
function keyOf({ bucket, endpoint, region, forcePathStyle }: S3Place, options: S3ConnectionOptions): string {
  const { env, ...others } = options
  const unknown = region === undefined ? bucket : undefined
  const variables = Object.entries(env).filter(([name]) => /^AWS_|_PROXY$/i.test(name))
  return JSON.stringify([endpoint, region, unknown, forcePathStyle, others, variables])
}

function inTurns(client: S3Client): S3Client {
  const requests = new Row(REQUESTS_MAX)
  const parts = new Row(PARTS_MAX)
  const send = client.send.bind(client) as (command: object, options?: SendOptions) => Promise<unknown>
  const sendInTurn = async (command: object, given: SendOptions = {}): Promise<unknown> => {
    const { waitSignal = given.abortSignal, ...options } = given
    const row = 'PartNumber' in ((command as { input?: object }).input ?? {}) ? parts : requests
    await row.enter(waitSignal)
    try {
      return await send(command, options)
    } finally {
      row.leave()
    }
  }
  client.send = sendInTurn as S3Client['send']
  return client
}

/** What the shared client's `send` knows of. */
export interface SendOptions {
  readonly abortSignal?: AbortSignal
  /** Until it is sent, where that is to be stopped earlier than the request itself. */
  readonly waitSignal?: AbortSignal | undefined
}

/** So many at once, the others in order of arrival. */
class Row {
  private inside = 0
  private readonly waiting = new Set<() => void>()

  constructor(private readonly max: number) {}

  /** Rejects with the signal's reason when it aborts first. */
  async enter(signal: AbortSignal | undefined): Promise<void> {
    if (this.inside < this.max) {
      this.inside++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.waiting.delete(enter)
        reject(signal?.reason)
      }
      const enter = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      if (signal?.aborted) return reject(signal.reason)
      if (signal) listenForAbort(signal, onAbort)
      this.waiting.add(enter)
    })
  }

  /** The place goes to whoever waits the longest. */
  leave(): void {
    const [next] = this.waiting
    if (!next) {
      this.inside--
      return
    }
    this.waiting.delete(next)
    next()
  }
}
