import { describe, expect, test } from 'vitest'
import { credentialsFrom } from '../../../src/replica/s3-credentials.js'
import { parseBucketHost, placeOf } from '../../../src/replica/s3-endpoint.js'
import { regionOfEndpoint } from '../../../src/replica/s3-providers.js'

describe('parseBucketHost', () => {
  test.each([
    ['bkt.localhost', 'bkt', 'us-east-1', 'http://localhost', true],
    ['mybkt.localhost:9000', 'mybkt', 'us-east-1', 'http://localhost:9000', true],
    ['my.dotted.bkt.localhost:9000', 'my.dotted.bkt', 'us-east-1', 'http://localhost:9000', true],
    ['b.s3.us-west-002.backblazeb2.com', 'b', 'us-west-002', 'https://s3.us-west-002.backblazeb2.com', true],
    ['b.s3.filebase.com', 'b', '', 'https://s3.filebase.com', true],
    ['myapp.fra1.digitaloceanspaces.com', 'myapp', 'fra1', 'https://fra1.digitaloceanspaces.com', true],
    ['b.nyc3.digitaloceanspaces.com:8443', 'b', 'nyc3', 'https://nyc3.digitaloceanspaces.com:8443', true],
    ['b.s3.fr-par.scw.cloud', 'b', 'fr-par', 'https://s3.fr-par.scw.cloud', true],
    ['b.us-east-1.linodeobjects.com', 'b', 'us-east-1', 'https://us-east-1.linodeobjects.com', true],
    ['b.s3.amazonaws.com', 'b.s3.amazonaws.com', '', '', false],
    ['plain-bucket', 'plain-bucket', '', '', false],
    ['plain-bucket:9000', 'plain-bucket', '', '', false],
    ['bucket.with.dots', 'bucket.with.dots', '', '', false],
    ['localhost:9000', 'localhost', '', '', false],
  ])('%s', (host, bucket, region, endpoint, forcePathStyle) => {
    expect(parseBucketHost(host)).toEqual({ bucket, region, endpoint, forcePathStyle })
  })
})

test.each([
  ['https://fsn1.your-objectstorage.com', 'fsn1'],
  ['https://bucket.nbg1.your-objectstorage.com', 'nbg1'],
  ['https://s3.us-west-002.backblazeb2.com', 'us-west-002'],
  ['https://nyc3.digitaloceanspaces.com', 'nyc3'],
  ['https://my.bucket.nyc3.digitaloceanspaces.com/', 'nyc3'],
  ['https://0123456789abcdef.r2.cloudflarestorage.com', 'auto'],
  ['https://0123456789abcdef.eu.r2.cloudflarestorage.com', 'auto'],
  ['https://s3.fr-par.scw.cloud', 'fr-par'],
  ['https://us-ord-1.linodeobjects.com', 'us-ord-1'],
  ['https://s3.eu-central-2.wasabisys.com', 'eu-central-2'],
  ['https://s3.gra.io.cloud.ovh.net', 'gra'],
  ['https://sos-ch-gva-2.exo.io', 'ch-gva-2'],
  ['https://ewr1.vultrobjects.com', 'ewr1'],
  ['https://s3.us-south.cloud-object-storage.appdomain.cloud', 'us-south'],
  ['https://fly.storage.tigris.dev', 'auto'],
  ['https://t3.storage.dev', 'auto'],
  ['https://storage.googleapis.com', 'auto'],
  ['https://s3.amazonaws.com', 'us-east-1'],
  ['https://s3.eu-west-1.amazonaws.com', 'eu-west-1'],
  ['https://s3-eu-west-1.amazonaws.com', 'eu-west-1'],
  ['s3.dualstack.ap-southeast-2.amazonaws.com:443', 'ap-southeast-2'],
  ['https://s3-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
  ['https://S3.CN-NORTH-1.amazonaws.com.cn', 'cn-north-1'],
  ['https://bucket.vpce-1a2b3c-4d5e.s3.us-east-2.vpce.amazonaws.com', 'us-east-2'],
  ['http://127.0.0.1:9000', undefined],
  ['minio.internal:9000', undefined],
  ['https://s3.filebase.com', undefined],
  ['https://backblazeb2.com.example.org', undefined],
])('the region of %s is %s', (endpoint, region) => {
  expect(regionOfEndpoint(endpoint)).toBe(region)
})

describe('placeOf', () => {
  test('AWS: no endpoint, virtual-host style, region as given or looked up', () => {
    expect(placeOf({ bucket: 'b' })).toEqual({
      bucket: 'b',
      keyPrefix: '',
      endpoint: undefined,
      region: undefined,
      forcePathStyle: false,
    })
    expect(placeOf({ bucket: 'b', region: 'any-region-9' })).toMatchObject({
      region: 'any-region-9',
      forcePathStyle: false,
    })
    expect(placeOf({ bucket: 'b', forcePathStyle: true })).toMatchObject({ endpoint: undefined, forcePathStyle: true })
    expect(placeOf({ bucket: 'with.dots' })).toMatchObject({ forcePathStyle: true })
  })

  test('with an endpoint: path style unless told otherwise, https unless told otherwise', () => {
    expect(placeOf({ bucket: 'b', endpoint: 'minio:9000' })).toMatchObject({
      endpoint: 'https://minio:9000',
      region: 'us-east-1',
      forcePathStyle: true,
    })
    expect(placeOf({ bucket: 'b', endpoint: 'http://minio:9000/' })).toMatchObject({ endpoint: 'http://minio:9000' })
    expect(placeOf({ bucket: 'b', endpoint: 'http://minio', forcePathStyle: false })).toMatchObject({
      forcePathStyle: false,
    })
  })

  test('a given region wins over the one that the endpoint tells', () => {
    const endpoint = 'https://nyc3.digitaloceanspaces.com'
    expect(placeOf({ bucket: 'b', endpoint }).region).toBe('nyc3')
    expect(placeOf({ bucket: 'b', endpoint, region: 'us-east-1' }).region).toBe('us-east-1')
  })

  test.each([
    ['', ''],
    ['/', ''],
    ['.', ''],
    ['db', 'db/'],
    ['/db', 'db/'],
    ['db/', 'db/'],
    ['//a//b/./c/', 'a/b/c/'],
  ])('path %j becomes the key prefix %j', (path, keyPrefix) => {
    expect(placeOf({ bucket: 'b', path }).keyPrefix).toBe(keyPrefix)
  })
})

describe('credentialsFrom', () => {
  const pair = (accessKeyId: string, secretAccessKey: string) => ({ accessKeyId, secretAccessKey })
  const aws = { AWS_ACCESS_KEY_ID: 'aws-id', AWS_SECRET_ACCESS_KEY: 'aws-secret' }
  const litestream = { LITESTREAM_ACCESS_KEY_ID: 'ls-id', LITESTREAM_SECRET_ACCESS_KEY: 'ls-secret' }

  test('the configuration wins over AWS_*, that over LITESTREAM_*', () => {
    expect(credentialsFrom(pair('c', 's'), { ...aws, ...litestream })).toEqual(pair('c', 's'))
    expect(credentialsFrom({}, { ...aws, ...litestream })).toEqual(pair('aws-id', 'aws-secret'))
    expect(credentialsFrom(pair('', ''), litestream)).toEqual(pair('ls-id', 'ls-secret'))
    expect(credentialsFrom({}, { ...aws, AWS_SESSION_TOKEN: 't' })).toEqual({
      ...pair('aws-id', 'aws-secret'),
      sessionToken: 't',
    })
    expect(credentialsFrom({}, { AWS_ACCESS_KEY: 'a', AWS_SECRET_KEY: 'b' })).toEqual(pair('a', 'b'))
  })

  test('each variable is filled in on its own; an empty AWS variable blocks it', () => {
    expect(credentialsFrom({}, { ...litestream, AWS_ACCESS_KEY_ID: 'aws-id' })).toEqual(pair('aws-id', 'ls-secret'))
    expect(credentialsFrom({}, { ...litestream, AWS_ACCESS_KEY_ID: '' })).toBeUndefined()
  })

  test('nothing given is left to the default chain; half a pair in the configuration is an error', () => {
    expect(credentialsFrom({}, {})).toBeUndefined()
    expect(() => credentialsFrom({ accessKeyId: 'id' }, aws)).toThrow('secret-access-key is empty')
    expect(() => credentialsFrom({ secretAccessKey: 'very-secret' }, aws)).toThrow(
      /^(?!.*very-secret).*access-key-id is empty/,
    )
  })
})
