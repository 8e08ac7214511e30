// From what each provider's documentation tells to write into the configuration, to where requests go and what they are signed for.

import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { openReplica } from '../../../src/replica/open.js'
import { placeOf } from '../../../src/replica/s3-endpoint.js'
import { providerOf } from '../../../src/replica/s3-providers.js'
import { fakeStore } from '../../support/fake-s3.js'
import { listening } from '../../support/listening.js'
import { tempDirectory } from '../../support/temp.js'

async function replicaOf(yaml: string) {
  const directory = tempDirectory()
  const file = join(directory, 'litestream.yml')
  writeFileSync(file, `dbs:\n  - path: /db\n    replicas:\n      - ${yaml}\n`)
  const config = await loadConfig({ path: file, env: {}, cwd: directory, expandEnv: true })
  const [replica] = config.databases[0]?.replicas ?? []
  if (replica?.type !== 's3') throw new Error('not s3')
  return replica
}

describe('each provider, as its users configure it', () => {
  const s3 = (endpoint: string, more = '') => `{type: s3, bucket: bkt, path: db, endpoint: "${endpoint}"${more}}`
  // name, configuration, endpoint, region, path style, conditional writes
  test.each([
    ['AWS S3', '{type: s3, bucket: bkt, path: db, region: eu-central-1}', undefined, 'eu-central-1', false, 'yes'],
    ['AWS S3', '{url: "s3://bkt/db"}', undefined, undefined, false, 'yes'],
    [
      'Cloudflare R2',
      s3('https://abc123.r2.cloudflarestorage.com'),
      'https://abc123.r2.cloudflarestorage.com',
      'auto',
      true,
      'yes',
    ],
    [
      'Hetzner',
      s3('https://fsn1.your-objectstorage.com'),
      'https://fsn1.your-objectstorage.com',
      'fsn1',
      true,
      'probe',
    ],
    [
      'Hetzner',
      s3('fsn1.your-objectstorage.com', ', region: fsn1'),
      'https://fsn1.your-objectstorage.com',
      'fsn1',
      true,
      'probe',
    ],
    [
      'Backblaze B2',
      s3('https://s3.us-west-002.backblazeb2.com'),
      'https://s3.us-west-002.backblazeb2.com',
      'us-west-002',
      true,
      'no',
    ],
    [
      'Backblaze B2',
      '{url: "s3://bkt.s3.us-west-002.backblazeb2.com/db"}',
      'https://s3.us-west-002.backblazeb2.com',
      'us-west-002',
      true,
      'no',
    ],
    [
      'DigitalOcean Spaces',
      s3('https://nyc3.digitaloceanspaces.com'),
      'https://nyc3.digitaloceanspaces.com',
      'nyc3',
      true,
      'probe',
    ],
    [
      'DigitalOcean Spaces',
      '{url: "s3://bkt.fra1.digitaloceanspaces.com/db"}',
      'https://fra1.digitaloceanspaces.com',
      'fra1',
      true,
      'probe',
    ],
    ['Scaleway', s3('https://s3.fr-par.scw.cloud'), 'https://s3.fr-par.scw.cloud', 'fr-par', true, 'probe'],
    ['Scaleway', '{url: "s3://bkt.s3.nl-ams.scw.cloud/db"}', 'https://s3.nl-ams.scw.cloud', 'nl-ams', true, 'probe'],
    [
      'Linode (Akamai)',
      s3('https://eu-central-1.linodeobjects.com'),
      'https://eu-central-1.linodeobjects.com',
      'eu-central-1',
      true,
      'probe',
    ],
    [
      'Linode (Akamai)',
      '{url: "s3://bkt.us-east-1.linodeobjects.com/db"}',
      'https://us-east-1.linodeobjects.com',
      'us-east-1',
      true,
      'probe',
    ],
    ['Filebase', s3('https://s3.filebase.com'), 'https://s3.filebase.com', 'us-east-1', true, 'probe'],
    ['Filebase', '{url: "s3://bkt.s3.filebase.com/db"}', 'https://s3.filebase.com', 'us-east-1', true, 'probe'],
    [
      'Wasabi',
      s3('https://s3.eu-central-2.wasabisys.com'),
      'https://s3.eu-central-2.wasabisys.com',
      'eu-central-2',
      true,
      'probe',
    ],
    ['Wasabi', s3('https://s3.wasabisys.com'), 'https://s3.wasabisys.com', 'us-east-1', true, 'probe'],
    ['Tigris', s3('https://fly.storage.tigris.dev'), 'https://fly.storage.tigris.dev', 'auto', true, 'yes'],
    [
      'Tigris',
      s3('https://t3.storage.dev', ', force-path-style: false'),
      'https://t3.storage.dev',
      'auto',
      false,
      'yes',
    ],
    [
      'iDrive e2',
      s3('https://s3.us-west-1.idrivee2.com'),
      'https://s3.us-west-1.idrivee2.com',
      'us-west-1',
      true,
      'probe',
    ],
    [
      'iDrive e2',
      s3('https://s6v7.la.idrivee2-12.com', ', region: us-la'),
      'https://s6v7.la.idrivee2-12.com',
      'us-la',
      true,
      'probe',
    ],
    ['OVH', s3('https://s3.gra.io.cloud.ovh.net'), 'https://s3.gra.io.cloud.ovh.net', 'gra', true, 'probe'],
    ['OVH', s3('https://s3.sbg.cloud.ovh.net'), 'https://s3.sbg.cloud.ovh.net', 'sbg', true, 'probe'],
    ['Vultr', s3('https://ewr1.vultrobjects.com'), 'https://ewr1.vultrobjects.com', 'ewr1', true, 'probe'],
    [
      'Google Cloud Storage',
      s3('https://storage.googleapis.com'),
      'https://storage.googleapis.com',
      'auto',
      true,
      'no',
    ],
    [
      'Supabase',
      s3('https://ref.supabase.co/storage/v1/s3', ', region: eu-west-2'),
      'https://ref.supabase.co/storage/v1/s3',
      'eu-west-2',
      true,
      'probe',
    ],
    [undefined, s3('http://minio:9000'), 'http://minio:9000', 'us-east-1', true, undefined],
    [undefined, '{url: "s3://bkt.localhost:9000/db"}', 'http://localhost:9000', 'us-east-1', true, undefined],
  ])('%s: %s', async (name, yaml, endpoint, region, forcePathStyle, conditionalWrites) => {
    const place = placeOf(await replicaOf(yaml))
    expect(place).toEqual({ bucket: 'bkt', keyPrefix: 'db/', endpoint, region, forcePathStyle })
    const provider = providerOf(place.endpoint)
    expect([provider?.name, provider?.conditionalWrites]).toEqual([name, conditionalWrites])
  })
})

test('an unknown host that only looks like one is none', () => {
  for (const host of ['backblazeb2.com.example.org', 'fakesupabase.co', 'storage.googleapis.com.example.org']) {
    expect(providerOf(`https://${host}`)).toBeUndefined()
  }
})

describe('on the wire', () => {
  test.each(['fsn1', 'auto', 'us-west-002'])(
    'requests are signed for the region %s, without checksums or trailers',
    async (region) => {
      const { endpoint, requests } = await fakeStore()
      const yaml = `{type: s3, bucket: bkt, path: db, endpoint: "${endpoint}", region: ${region}, access-key-id: id, secret-access-key: secret}`
      const client = await openReplica({ ...(await replicaOf(yaml)), partBytes: 5 * 2 ** 20 })
      const body = async function* (bytes: number) {
        yield new Uint8Array(bytes)
      }
      await client.put('small', body(10), { ifAbsent: true })
      await client.put('large', body(6 * 2 ** 20))
      for await (const _ of client.list('x/')) throw new Error('there is nothing there')
      for await (const bytes of await client.get('small')) expect(bytes.length).toBe(10)
      await client.delete(['small', 'large'])
      await client.close()
      // One PUT, a beginning, two parts, an end, a list, a get, a deletion.
      expect(requests).toHaveLength(8)
      for (const { headers, url } of requests) {
        expect(headers.authorization).toMatch(
          new RegExp(`^AWS4-HMAC-SHA256 Credential=id/\\d{8}/${region}/s3/aws4_request, `),
        )
        expect(url).toMatch(/^\/bkt(\/|\?)/)
        expect(Object.keys(headers).join(' ')).not.toMatch(/checksum|trailer|content-encoding|expect\b/)
        expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$|^UNSIGNED-PAYLOAD$/)
      }
      expect(requests.filter(({ headers }) => headers['if-none-match'] === '*')).toHaveLength(1)
    },
  )

  test('a path in the endpoint stays in front of the bucket', async () => {
    const urls: string[] = []
    const server = createServer((request, response) => {
      urls.push(request.url?.split('?')[0] ?? '')
      request.resume().on('end', () => response.writeHead(200, { etag: '"x"' }).end())
    })
    const port = await listening(server)
    const yaml = `{type: s3, bucket: bkt, path: db, endpoint: "http://127.0.0.1:${port}/storage/v1/s3", access-key-id: id, secret-access-key: secret}`
    const client = await openReplica(await replicaOf(yaml))
    await client.put('key', (async function* () {})())
    await client.close()
    expect(urls).toEqual(['/storage/v1/s3/bkt/db/key'])
  })
})
