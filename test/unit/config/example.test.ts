import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { projectRoot } from '../../support/make-dist.js'

const env = {
  LITESTREAM_ACCESS_KEY_ID: 'id',
  LITESTREAM_SECRET_ACCESS_KEY: 'secret+/=',
  BUCKET_NAME: 'myapp-backups',
  S3_ENDPOINT: 'https://fsn1.your-objectstorage.com',
  S3_REGION: 'fsn1',
}
const load = (variables: Record<string, string>) =>
  loadConfig({ path: 'litestream.example.yml', env: variables, cwd: projectRoot, expandEnv: true })

describe('litestream.example.yml', () => {
  test('four databases, one bucket, each with its own retention', async () => {
    const { databases } = await load(env)
    const hours = databases.map(({ path, replicas: [replica] }) => [
      path,
      replica!.name,
      replica!.retentionMs / 3_600_000,
    ])
    expect(hours).toEqual([
      ['/rails/storage/production.sqlite3', 'primary', 720],
      ['/rails/storage/production_cache.sqlite3', 's3', 24],
      ['/rails/storage/production_queue.sqlite3', 's3', 72],
      ['/rails/storage/production_cable.sqlite3', 's3', 24],
    ])
    for (const { replicas } of databases) {
      const shared = { type: 's3', bucket: 'myapp-backups', endpoint: env.S3_ENDPOINT, region: 'fsn1' }
      expect(replicas).toMatchObject([
        { ...shared, accessKeyId: 'id', secretAccessKey: 'secret+/=', forcePathStyle: true },
      ])
    }
  })

  test('names the variable that the deployment forgot', async () => {
    const { BUCKET_NAME: _, ...rest } = env
    await expect(load(rest)).rejects.toThrow(
      /bucket required for s3 replica \(environment variable BUCKET_NAME is not set\)/,
    )
  })
})
