// Reads an object to its end although the connection breaks: goes on where it broke, after a pause, so that the last gigabyte of a
// large snapshot does not cost the first ones again. Gives up when several attempts in a row bring nothing, and when more comes than
// was listed: what has no end must not be read to its end.

import { setTimeout as pause } from 'node:timers/promises'
import { isLitestreamError } from '../errors.js'
import type { ReplicaClient } from '../replica/client.js'
import { damaged } from './index-chain.js'

const FRUITLESS_ATTEMPTS_MAX = 5
const FIRST_PAUSE_MS = 200

/** The stored bytes of the object. What comes after a break is checked with all the rest, by the content's checksum. */
export async function* readObject(
  client: ReplicaClient,
  object: { readonly key: string; readonly size: number },
  signal: AbortSignal | undefined,
  firstPauseMs = FIRST_PAUSE_MS,
): AsyncGenerator<Uint8Array, void, undefined> {
  let start = 0
  for (let fruitless = 1; ; fruitless++) {
    try {
      for await (const chunk of await client.get(object.key, { start, signal })) {
        start += chunk.length
        if (start > object.size) throw damaged(object, `it is longer than the ${object.size} bytes that were listed`)
        fruitless = 0
        yield chunk
      }
      return
    } catch (error) {
      if (!isLitestreamError(error, 'STORAGE') || signal?.aborted || fruitless >= FRUITLESS_ATTEMPTS_MAX) throw error
      await pause(firstPauseMs * 2 ** fruitless, undefined, signal && { signal })
    }
  }
}
