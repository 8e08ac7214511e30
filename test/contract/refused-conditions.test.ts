// Stores that know nothing of `If-None-Match: *`, or not everywhere: MinIO behind a proxy that refuses it as real ones do. It is found
// out by trying, leaves nothing behind, and puts without the condition work.

import { expect, onTestFinished, test } from 'vitest'
import { S3ReplicaClient } from '../../src/replica/s3-client.js'
import { minioServer } from '../support/minio.js'
import { unconditional } from '../support/s3-proxy.js'
import { bodyOf, keysBelow } from './bodies.js'

test.for([
  [501, 'NotImplemented'],
  [400, 'InvalidArgument'],
  [400, 'InvalidRequest'],
  [400, 'BadRequest'],
] as const)('%i %s', async (refusal) => {
  const minio = await minioServer()
  const { endpoint, accessKeyId, secretAccessKey } = await unconditional(minio, refusal)
  const bucket = await minio.createBucket('refused')
  const client = new S3ReplicaClient({ bucket, path: 'app', endpoint, accessKeyId, secretAccessKey, env: {} })
  onTestFinished(() => client.close())
  expect(await client.conditionalPuts('litestream-node/probe')).toBe(false)
  expect(await keysBelow(client, '')).toEqual([])
  await client.put('key', bodyOf('one'))
  await client.put('key', bodyOf('other'))
  expect(await keysBelow(client, '')).toEqual(['key'])
})

test('what is no word about the condition is an error, and asked again', async () => {
  const minio = await minioServer()
  const { endpoint, accessKeyId, secretAccessKey } = await unconditional(minio, [403, 'AccessDenied'])
  const bucket = await minio.createBucket('refused')
  const client = new S3ReplicaClient({ bucket, path: 'app', endpoint, accessKeyId, secretAccessKey, env: {} })
  onTestFinished(() => client.close())
  for (let i = 0; i < 2; i++) {
    await expect(client.conditionalPuts('litestream-node/probe')).rejects.toMatchObject({ reason: 'AccessDenied' })
  }
})
