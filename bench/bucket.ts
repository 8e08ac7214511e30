// What a contender has stored, seen from outside: listings of its bucket.

import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import type { MinioServer } from '../test/support/minio.js'

export interface Stored {
  readonly objects: number
  readonly bytes: number
  readonly snapshots: number
  /** When the newest object was stored; 0 of none. */
  readonly newestMs: number
}

export async function listStored(minio: MinioServer, bucket: string): Promise<Stored> {
  const stored = { objects: 0, bytes: 0, snapshots: 0, newestMs: 0 }
  let token: string | undefined
  do {
    const page = await minio.sdk.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }))
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      stored.objects++
      stored.bytes += Size
      if (Key.endsWith('.snapshot.lz4')) stored.snapshots++
      stored.newestMs = Math.max(stored.newestMs, LastModified?.getTime() ?? 0)
    }
    token = page.NextContinuationToken
  } while (token !== undefined)
  return stored
}
