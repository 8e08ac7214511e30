// Changes one page of a stored snapshot so that nothing but a comparison with the source can notice: a valid frame, with the
// provenance that it had.

import { decodeFrame, encodeFrame } from '../../src/codec/frame.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { collect } from './codec.js'
import { once } from './synthetic-replica.js'

export async function tamperWithPage(
  client: ReplicaClient,
  key: string,
  page: number,
  pageSize: number,
): Promise<void> {
  let trailer = new Uint8Array()
  const onTrailer = (payload: Uint8Array) => {
    trailer = Uint8Array.from(payload)
  }
  const content = await collect(decodeFrame(await client.get(key), { name: key, onTrailer }))
  const at = page * pageSize - 1
  content[at] = (content[at] as number) ^ 1
  await client.put(key, encodeFrame(once(content), { trailer: () => trailer }))
}
