// What goes over the wire, and what we make of bad answers, against a scripted HTTP server.

import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { bodyOf, collect, gate, pattern } from '../../contract/bodies.js'
import { freePort } from '../../support/minio-server.js'
import { type Answer, type Request, scripted } from '../../support/scripted-store.js'

function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>because ${code}</Message></Error>`)
}

const PART = 5 * 2 ** 20

/** A store that takes multipart uploads; `onPart` may answer a part by itself. */
function multipart(script: {
  onPart?: (number: number, response: ServerResponse) => boolean | Promise<boolean>
  onComplete?: Answer
  onAbort?: Answer
}): Answer {
  return async (request, response) => {
    const { method, url } = request
    const number = Number(/partNumber=(\d+)/.exec(url)?.[1])
    if (method === 'POST' && url.includes('uploads')) {
      response.end('<InitiateMultipartUploadResult><UploadId>the-upload</UploadId></InitiateMultipartUploadResult>')
    } else if (method === 'PUT' && number) {
      if (await script.onPart?.(number, response)) return
      response.writeHead(200, { etag: `"part-${number}"` }).end()
    } else if (method === 'POST' && script.onComplete) {
      await script.onComplete(request, response)
    } else if (method === 'POST') {
      response.end('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')
    } else if (method === 'DELETE' && script.onAbort) {
      await script.onAbort(request, response)
    } else {
      response.writeHead(204).end()
    }
  }
}

/** Method, path and query, without the name of the operation that the SDK adds for its own statistics. */
const ours = ({ method, url }: Request): string => `${method} ${url.replace(/[?&]x-id=\w+/, '')}`

test('a small object is one plain PUT with its length, no checksum headers, no chunked coding', async () => {
  const { client, requests } = await scripted(
    (_, response) => void response.writeHead(200, { etag: '"x"', date: 'Sun, 06 Nov 1994 08:49:37 GMT' }).end(),
  )
  const stored = await client.put('a/b', bodyOf('te', 'xt'), { ifAbsent: true })
  expect(stored).toEqual({ key: 'a/b', size: 4, modifiedAtMs: Date.UTC(1994, 10, 6, 8, 49, 37) })
  expect(requests.map(ours)).toEqual(['PUT /bkt/root/a/b'])
  const { headers, body } = requests[0] as Request
  expect(body).toBe('text')
  expect(headers).toMatchObject({ 'content-length': '4', 'if-none-match': '*' })
  expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').update('text').digest('hex'))
  const names = Object.keys(headers).join(' ')
  expect(names).not.toMatch(/checksum|trailer|content-encoding|transfer-encoding|expect/)
})

test('deletions carry Content-MD5 and no other checksum, a thousand keys at a time', async () => {
  const { client, requests } = await scripted((_, response) => void response.end('<DeleteResult/>'))
  await client.delete(Array.from({ length: 2500 }, (_, index) => `k${index}`))
  expect(requests.map(ours)).toEqual(Array(3).fill('POST /bkt/?delete='))
  expect(requests.map(({ body }) => body.match(/<Key>root\/k\d+<\/Key>/g)?.length)).toEqual([1000, 1000, 500])
  for (const { headers, body } of requests) {
    expect(headers['content-md5']).toBe(createHash('md5').update(body, 'latin1').digest('base64'))
    expect(Object.keys(headers).join(' ')).not.toMatch(/checksum/)
  }
})

test('a deletion that the store refuses names the key', async () => {
  const answer =
    '<DeleteResult><Error><Key>root/a/k2</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>'
  const { client } = await scripted((_, response) => void response.end(answer))
  await expect(client.delete(['a/k1', 'a/k2'])).rejects.toMatchObject({
    code: 'STORAGE',
    message: expect.stringMatching(/^delete s3:\/\/bkt\/root\/a\/k2 at http.*access denied; the key needs permission/),
  })
})

test('parts are of one size, few are in flight, and the body is not pulled further ahead', async () => {
  const { opened, open } = gate()
  const sizes: number[] = []
  const { client, requests } = await scripted(
    multipart({
      onPart: async () => {
        if (++arrived === 3) reached.open()
        await opened
        return false
      },
    }),
    { partBytes: PART, partsInFlight: 3 },
  )
  let arrived = 0
  const reached = gate()
  let pulled = 0
  async function* counting(): AsyncGenerator<Uint8Array> {
    for await (const chunk of pattern(7 * PART + 5, 2 ** 20)) {
      pulled += chunk.length
      yield chunk
    }
  }
  const stored = client.put('k', counting())
  await reached.opened
  await new Promise((resolve) => setImmediate(resolve))
  expect(arrived).toBe(3)
  expect(pulled).toBeLessThanOrEqual(3 * PART + 2 ** 20)
  open()
  expect(await stored).toMatchObject({ size: 7 * PART + 5 })
  for (const { method, url, headers, body } of requests) {
    expect(Object.keys(headers).join(' ')).not.toMatch(/checksum|trailer|content-encoding/)
    if (method === 'PUT') sizes[Number(/partNumber=(\d+)/.exec(url)?.[1]) - 1] = body.length
  }
  expect(sizes).toEqual([...Array(7).fill(PART), 5])
})

test('a body of exactly one part is a single PUT', async () => {
  const { client, requests } = await scripted((_, response) => void response.end(), { partBytes: PART })
  await client.put('k', pattern(PART))
  expect(requests.map(ours)).toEqual(['PUT /bkt/root/k'])
})

test('a part that fails aborts the upload and ends the body', async () => {
  let ended = false
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield new Uint8Array(2 ** 20)
    } finally {
      ended = true
    }
  }
  const onPart = (number: number, response: ServerResponse): boolean => {
    if (number === 2) fail(response, 403, 'AccessDenied')
    return number === 2
  }
  const { client, requests } = await scripted(multipart({ onPart }), { partBytes: PART })
  await expect(client.put('k', body())).rejects.toThrow(/put s3:\/\/bkt\/root\/k .*access denied/)
  await expect.poll(() => ended).toBe(true)
  // Not necessarily the last one that the server has read: parts that were cut off may still be in its sockets.
  expect(requests.map(ours)).toContain('DELETE /bkt/root/k?uploadId=the-upload')
})

test('an upload that cannot be aborted either is mentioned', async () => {
  const onPart = (_: number, response: ServerResponse): boolean => {
    fail(response, 403, 'AccessDenied')
    return true
  }
  const script = multipart({ onPart, onAbort: (_, response) => fail(response, 403, 'AbortDenied') })
  const { client } = await scripted(script, { partBytes: PART })
  await expect(client.put('k', pattern(2 * PART))).rejects.toMatchObject({
    code: 'STORAGE',
    message: expect.stringMatching(/access denied.*unfinished upload could not be removed.*lifecycle/),
  })
})

test('a large object whose key is taken at its completion is EXISTS, and its upload is aborted', async () => {
  const onComplete: Answer = (request, response) => {
    expect(request.headers['if-none-match']).toBe('*')
    fail(response, 412, 'PreconditionFailed')
  }
  const { client, requests } = await scripted(multipart({ onComplete }), { partBytes: PART })
  await expect(client.put('k', pattern(2 * PART), { ifAbsent: true })).rejects.toMatchObject({ code: 'EXISTS' })
  expect(requests.at(-1)?.method).toBe('DELETE')
})

test('a conflict with another conditional write is tried again, and decided by its outcome', async () => {
  let answers = [409, 409, 200]
  const { client } = await scripted((_, response) => {
    const status = answers.shift() ?? 200
    if (status === 200) response.end()
    else fail(response, status, status === 409 ? 'ConditionalRequestConflict' : 'PreconditionFailed')
  })
  await client.put('k', bodyOf('x'), { ifAbsent: true })
  expect(answers).toEqual([])
  for (const script of [
    [409, 412],
    [409, 409, 409],
  ]) {
    answers = script
    await expect(client.put('k', bodyOf('x'), { ifAbsent: true })).rejects.toMatchObject({ code: 'EXISTS' })
  }
})

test.each([
  [404, 'NoSuchBucket', /no such bucket; create it/],
  [403, 'InvalidAccessKeyId', /check access-key-id/],
  [403, 'SignatureDoesNotMatch', /check secret-access-key/],
  [403, 'AccessDenied', /needs permission/],
  [403, 'RequestTimeTooSkewed', /clock differs/],
  [400, 'AuthorizationHeaderMalformed', /another region; set "region"/],
  [501, 'NotImplemented', /does not support/],
  [418, 'Unheard', /HTTP 418, Unheard, because Unheard/],
])('HTTP %d %s says what to do, without secrets', async (status, code, message) => {
  const { client } = await scripted((_, response) => fail(response, status, code))
  const operations = [
    () => client.put('k', bodyOf('x')),
    () => client.get('k'),
    () => collect(client.list('')),
    () => client.listNames(''),
    () => client.delete(['k']),
  ]
  for (const operation of operations) {
    const error = (await operation().then(
      () => undefined,
      (reason: unknown) => reason,
    )) as Error
    expect(error).toMatchObject({ code: 'STORAGE', message: expect.stringMatching(message) })
    expect(error.message).toMatch(/^(put|get|list|delete) s3:\/\/bkt\/root\/.* at http:\/\/127\.0\.0\.1:/)
    expect(inspect(error, { depth: null })).not.toMatch(/the-id|the-secret|authorization/)
    expect(error.cause).toBeInstanceOf(Error)
  }
})

test('server errors are tried again by the transport', async () => {
  let failures = 2
  const { client, requests } = await scripted((_, response) => {
    if (failures-- > 0) fail(response, 503, 'SlowDown')
    else response.end()
  })
  await client.put('k', bodyOf('x'))
  expect(requests.map(({ body }) => body)).toEqual(['x', 'x', 'x'])
})

test('a refused connection says so', async () => {
  const endpoint = `http://127.0.0.1:${await freePort()}`
  const { client } = await scripted(() => {}, { endpoint, attemptsMax: 1 })
  await expect(client.put('k', bodyOf('x'))).rejects.toMatchObject({
    code: 'STORAGE',
    message: expect.stringContaining('connection refused; check "endpoint"'),
  })
})

test('a frozen server ends in an error, or in ABORTED when asked to stop', async () => {
  const { client } = await scripted(() => {}, { idleTimeoutMs: 200, attemptsMax: 1 })
  await expect(client.put('k', bodyOf('x'))).rejects.toMatchObject({
    code: 'STORAGE',
    message: expect.stringContaining('no answer in time'),
  })
  const patient = await scripted(() => controller.abort())
  const controller = new AbortController()
  await expect(patient.client.get('k', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
})

test('a download that is cut is an error, not a short object', async () => {
  const { client } = await scripted((_, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('only this')
    setImmediate(() => response.destroy())
  })
  await expect(client.get('k').then(collect)).rejects.toMatchObject({
    code: 'STORAGE',
    message: expect.stringContaining('root/k'),
  })
})

test('objects that stand for folders are not listed', async () => {
  const entry = (key: string): string =>
    `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2024-01-02T03:04:05.678Z</LastModified></Contents>`
  const page = `<ListBucketResult><IsTruncated>false</IsTruncated>${entry('root/')}${entry('root/g/')}${entry('root/g/k')}</ListBucketResult>`
  const { client, requests } = await scripted((_, response) => void response.end(page))
  expect(await collect(client.list(''))).toEqual([
    { key: 'g/k', size: 1, modifiedAtMs: Date.UTC(2024, 0, 2, 3, 4, 5, 678) },
  ])
  expect(requests[0]?.url).toMatch(/^\/bkt\/?\?list-type=2&.*prefix=root%2F/)
})
