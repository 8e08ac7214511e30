// From a replica's settings to its client. The SDK is loaded only when a replica on S3 is opened.

import type { ReplicaClient } from './client.js'
import { FileClient, type FileClientOptions } from './file-client.js'
import { proxyNote } from './proxies.js'
import type { S3ReplicaOptions } from './s3-client.js'
import { placeOf, serverOf } from './s3-endpoint.js'

export type ReplicaTarget =
  | ({ readonly type: 'file' } & FileClientOptions)
  | ({ readonly type: 's3' } & S3ReplicaOptions)

/** Nothing is asked of the storage yet: a wrong bucket or password shows with the first operation. Close it after use. */
export async function openReplica(target: ReplicaTarget): Promise<ReplicaClient> {
  if (target.type === 'file') return new FileClient(target)
  const { S3ReplicaClient } = await import('./s3-client.js')
  return new S3ReplicaClient(target)
}

/** What whoever starts something has to know of the way to it; undefined when there is nothing. */
export function noteOnTheWay(target: ReplicaTarget): string | undefined {
  if (target.type === 'file') return undefined
  return proxyNote(serverOf(placeOf(target)), target.env ?? process.env, process.versions.node)
}
