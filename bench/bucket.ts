// What a contender has stored, seen from outside: listings of its bucket.

import { DeleteBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import type { MinioServer } from '../test/support/minio.js'

export interface StoredObject {
  readonly key: string
  readonly bytes: number
  readonly storedMs: number
}

export interface Stored {
  readonly objects: number
  readonly bytes: number
  readonly snapshots: number
  /** When the newest object was stored; 0 of none. */
  readonly newestMs: number
}

export async function* listBucket(minio: MinioServer, bucket: string): AsyncGenerator<StoredObject> {
  let token: string | undefined
  do {
    const page = await minio.sdk.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }))
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      yield { key: Key, bytes: Size, storedMs: LastModified?.getTime() ?? 0 }
    }
    token = page.NextContinuationToken
  } while (token !== undefined)
}

/** In 0.3's layout; in 0.5's the first transaction, or the level that holds nothing else: both are the whole database. */
export const isSnapshot = (key: string): boolean =>
  /\.snapshot\.lz4$|\/0009\/[^/]+\.ltx$|\/0000\/0{15}1-0{15}1\.ltx$/.test(key)

export async function listStored(minio: MinioServer, bucket: string): Promise<Stored> {
  const stored = { objects: 0, bytes: 0, snapshots: 0, newestMs: 0 }
  for await (const { key, bytes, storedMs } of listBucket(minio, bucket)) {
    stored.objects++
    stored.bytes += bytes
    if (isSnapshot(key)) stored.snapshots++
    stored.newestMs = Math.max(stored.newestMs, storedMs)
  }
  return stored
}

/** With all that is in it. MinIO does that at one request. */
export async function removeBucket(minio: MinioServer, bucket: string): Promise<void> {
  const command = new DeleteBucketCommand({ Bucket: bucket })
  command.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-minio-force-delete'] = 'true'
      return next(args)
    },
    { step: 'build' },
  )
  await minio.sdk.send(command)
}
