// The places that the contract suite runs against, and one of them with requests counted. Each case gets a client on an empty place of its own.

import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { onTestFinished } from 'vitest'
import type { ReplicaClient } from '../../src/replica/client.js'
import { FileClient } from '../../src/replica/file-client.js'
import { MemoryClient } from '../../src/replica/memory-client.js'
import { S3ReplicaClient } from '../../src/replica/s3-client.js'
import { CountingClient } from '../../src/replica/with-counts.js'
import { minioServer } from '../support/minio.js'
import { tempDirectory } from '../support/temp.js'

export interface Place {
  readonly client: ReplicaClient
  /** A second client on the same place. */
  readonly other: ReplicaClient
  /** What unfinished uploads are left there. */
  readonly unfinished: () => Promise<string[]>
}

export interface PlaceOptions {
  /** Listings page after so many objects, where they page. */
  readonly pageObjects?: number
}

export type MakePlace = (options?: PlaceOptions) => Promise<Place>

export const places: Readonly<Record<'memory' | 'counted' | 'file' | 's3', MakePlace>> = {
  async memory() {
    const client = new MemoryClient()
    return { client, other: client, unfinished: async () => [] }
  },

  async counted() {
    const inner = new MemoryClient()
    const client = new CountingClient(inner)
    return { client, other: client, unfinished: async () => [] }
  },

  async file() {
    const path = `${tempDirectory('file-client')}/replica/deep`
    const { readdir } = await import('node:fs/promises')
    return {
      client: new FileClient({ path }),
      other: new FileClient({ path }),
      unfinished: async () => {
        const names = await readdir(path, { recursive: true }).catch(() => [])
        return names.filter((name) => name.includes('.tmp'))
      },
    }
  },

  async s3({ pageObjects } = {}) {
    const minio = await minioServer()
    const bucket = await minio.createBucket('contract')
    const { endpoint, accessKeyId, secretAccessKey } = minio
    const options = {
      bucket,
      path: '/app/db/',
      endpoint,
      accessKeyId,
      secretAccessKey,
      pageObjects,
      partBytes: 5 * 2 ** 20,
    }
    const client = new S3ReplicaClient(options)
    const other = new S3ReplicaClient(options)
    onTestFinished(async () => {
      await Promise.all([client.close(), other.close()])
    })
    return {
      client,
      other,
      unfinished: async () => {
        const { Uploads = [] } = await minio.sdk.send(
          new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: 'app/db/' }),
        )
        return Uploads.map(({ Key = '' }) => Key)
      },
    }
  },
}
