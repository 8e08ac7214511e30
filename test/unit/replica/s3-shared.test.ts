// Many replicas in one store: they share a client, ask common questions once, and stand in row for their requests.

import { expect, onTestFinished, test } from 'vitest'
import { S3ReplicaClient } from '../../../src/replica/s3-client.js'
import { bodyOf, gate } from '../../contract/bodies.js'
import { type Answer, scripted } from '../../support/scripted-store.js'
import { until } from '../../support/until.js'

/** Honours conditions: a key is taken after its first put. */
function honest(): Answer {
  const taken = new Set<string>()
  return ({ method, url }, response) => {
    const path = url.split('?')[0] as string
    if (method === 'POST' && url.includes('uploads')) {
      response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>')
    } else if (url.includes('partNumber')) response.writeHead(200, { etag: '"part"' }).end()
    else if (method === 'DELETE') response.writeHead(204).end()
    else if (taken.has(path)) response.writeHead(412).end('<Error><Code>PreconditionFailed</Code></Error>')
    else {
      taken.add(path)
      response.writeHead(200, { etag: '"x"' }).end()
    }
  }
}

const keys = { accessKeyId: 'the-id', secretAccessKey: 'the-secret' }

/** Clients of several replicas in one bucket. */
function replicas(endpoint: string, count: number): S3ReplicaClient[] {
  return Array.from({ length: count }, (_, i) => {
    const client = new S3ReplicaClient({ bucket: 'bkt', path: `app-${i}`, endpoint, ...keys, env: {} })
    onTestFinished(() => client.close())
    return client
  })
}

test('a bucket is asked once whether it honours conditions, however many ask at the same moment', async () => {
  const { endpoint, requests } = await scripted(honest())
  const answers = replicas(endpoint, 20).map((client) => client.conditionalPuts('litestream-node/probe'))
  expect(await Promise.all(answers)).toEqual(Array(20).fill(true))
  expect(new Set(requests.map(({ url }) => url.split('/')[2]))).toEqual(new Set(['app-0']))
})

test('whoever asked first and is stopped takes nobody else along', async () => {
  const first = gate()
  const answer = honest()
  const { endpoint, requests } = await scripted(async (request, response) => {
    if (request.url.includes('/app-0/')) await first.opened
    await answer(request, response)
  })
  const [stopped, other] = replicas(endpoint, 2) as [S3ReplicaClient, S3ReplicaClient]
  const stop = new AbortController()
  const refused = expect(stopped.conditionalPuts('litestream-node/probe', stop.signal)).rejects
  const wanted = other.conditionalPuts('litestream-node/probe')
  await until(() => requests.length > 0)
  stop.abort(new Error('enough'))
  await refused.toMatchObject({ code: 'ABORTED' })
  first.open()
  expect(await wanted).toBe(true)
})

test('at most 32 requests are under way; who waits can be stopped, and the others go on', async () => {
  const door = gate()
  let inside = 0
  let most = 0
  const { endpoint, requests } = await scripted(async (_, response) => {
    most = Math.max(most, ++inside)
    await door.opened
    inside--
    response.writeHead(200, { etag: '"x"' }).end()
  })
  const clients = replicas(endpoint, 50)
  const stop = new AbortController()
  const puts = clients.map((client, i) => client.put('key', bodyOf('one'), i === 49 ? { signal: stop.signal } : {}))
  const all = Promise.allSettled(puts)
  await until(() => requests.length === 32)
  stop.abort()
  door.open()
  const refused = (await all).filter(({ status }) => status === 'rejected')
  expect(refused).toMatchObject([{ reason: { code: 'ABORTED' } }])
  expect(most).toBe(32)
  expect(requests.length).toBe(49)
})

test('a replica that is closed, twice even, leaves the others their client', async () => {
  const { endpoint } = await scripted((_, response) => void response.writeHead(200, { etag: '"x"' }).end())
  const [closed, open] = replicas(endpoint, 2) as [S3ReplicaClient, S3ReplicaClient]
  await closed.put('key', bodyOf('one'))
  await closed.close()
  await closed.close()
  await expect(open.put('key', bodyOf('one'))).resolves.toMatchObject({ size: 3 })
})
