// The taxonomy of storage errors, each made by the real SDK out of what a server (or no server) answers: what time heals, what a
// person has to do, and what is a bug. Every operation of the client has to tell the same.

import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ErrorKind, LitestreamError } from '../../../src/errors.js'
import { S3ReplicaClient, type S3ReplicaOptions } from '../../../src/replica/s3-client.js'
import { bodyOf, collect } from '../../contract/bodies.js'
import { listening } from '../../support/listening.js'
import { projectRoot } from '../../support/make-dist.js'
import { freePort } from '../../support/minio-server.js'

function clientOf(endpoint: string, options: Partial<S3ReplicaOptions> = {}): S3ReplicaClient {
  const keys = { accessKeyId: 'the-id', secretAccessKey: 'the-secret' }
  const limits = { attemptsMax: 1, idleTimeoutMs: 300, connectTimeoutMs: 300 }
  const client = new S3ReplicaClient({ bucket: 'bkt', path: 'root', endpoint, ...keys, ...limits, env: {}, ...options })
  onTestFinished(() => client.close())
  return client
}

/** What each operation says. */
async function failuresOf(client: S3ReplicaClient): Promise<LitestreamError[]> {
  const operations = [
    () => client.put('k', bodyOf('x')),
    () => client.put('k', bodyOf('x'), { ifAbsent: true }),
    async () => collect(await client.get('k')),
    () => collect(client.list('')),
    () => client.listNames(''),
    () => client.delete(['k']),
  ]
  const failures: LitestreamError[] = []
  for (const operation of operations) {
    const error = await operation().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(LitestreamError)
    failures.push(error as LitestreamError)
  }
  return failures
}

async function expectAll(client: S3ReplicaClient, kind: ErrorKind, reason: string, words: RegExp): Promise<void> {
  for (const error of await failuresOf(client)) {
    expect(error).toMatchObject({ code: 'STORAGE', kind, reason, message: expect.stringMatching(words) })
  }
}

const answering = (answer: RequestListener) =>
  listening(
    createServer((request, response) => {
      request.resume()
      request.on('end', () => answer(request, response))
    }),
  )

const TABLE: readonly (readonly [number, string, ErrorKind, RegExp])[] = [
  [500, 'InternalError', 'transient', /HTTP 500/],
  [502, 'BadGateway', 'transient', /HTTP 502/],
  [503, 'SlowDown', 'transient', /asks to slow down/],
  [503, 'ServiceUnavailable', 'transient', /HTTP 503/],
  [504, 'GatewayTimeout', 'transient', /HTTP 504/],
  [429, 'TooManyRequests', 'transient', /HTTP 429/],
  [400, 'RequestTimeout', 'transient', /RequestTimeout/],
  [400, 'IncompleteBody', 'transient', /IncompleteBody/],
  [400, 'BadDigest', 'transient', /BadDigest/],
  [409, 'OperationAborted', 'transient', /OperationAborted/],
  [403, 'AccessDenied', 'person', /needs permission/],
  [403, 'InvalidAccessKeyId', 'person', /check access-key-id/],
  [403, 'SignatureDoesNotMatch', 'person', /check secret-access-key/],
  [403, 'RequestTimeTooSkewed', 'person', /clock differs.*set it/],
  [403, 'AccountProblem', 'person', /AccountProblem/],
  [404, 'NoSuchBucket', 'person', /no such bucket; create it/],
  [400, 'ExpiredToken', 'person', /session token has expired; get new credentials/],
  [400, 'InvalidToken', 'person', /get new credentials/],
  [400, 'AuthorizationHeaderMalformed', 'person', /another region; set "region"/],
  [301, 'PermanentRedirect', 'person', /another region or at another endpoint/],
  [400, 'EntityTooLarge', 'person', /object of this size/],
  [501, 'NotImplemented', 'person', /does not support/],
  [507, 'XMinioStorageFull', 'person', /no space left/],
  [400, 'MalformedXML', 'bug', /HTTP 400, MalformedXML/],
]

describe('what a store answers', () => {
  test.each(TABLE)('HTTP %d %s: %s', async (status, code, kind, words) => {
    const port = await answering((_, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' })
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>because ${code}</Message></Error>`)
    })
    await expectAll(clientOf(`http://127.0.0.1:${port}`), kind, code, words)
  })

  test.each([
    [503, 'transient'],
    [403, 'person'],
  ] as const)('HTTP %d with the page of some gateway instead of XML: %s', async (status, kind) => {
    const port = await answering((_, response) => {
      response.writeHead(status, { 'content-type': 'text/html' })
      response.end('<html><head><title>oh no</title></head><body><hr>gateway</body></html>')
    })
    for (const error of await failuresOf(clientOf(`http://127.0.0.1:${port}`))) {
      expect(error).toMatchObject({ code: 'STORAGE', kind })
    }
  })

  test('deletions that are refused one by one', async () => {
    const answers = [
      ['AccessDenied', 'person'],
      ['InternalError', 'transient'],
      ['SlowDown', 'transient'],
    ] as const
    let code = ''
    const port = await answering((_, response) =>
      response.end(`<DeleteResult><Error><Key>root/k</Key><Code>${code}</Code></Error></DeleteResult>`),
    )
    const client = clientOf(`http://127.0.0.1:${port}`)
    for (const [answer, kind] of answers) {
      code = answer
      await expect(client.delete(['k'])).rejects.toMatchObject({ kind, reason: code })
    }
  })
})

describe('no answer', () => {
  test('nobody listens: transient', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`
    await expectAll(clientOf(endpoint), 'transient', 'ECONNREFUSED', /connection refused; check "endpoint"/)
  })

  test('the connection is cut: transient', async () => {
    const port = await listening(createNetServer((socket) => void socket.on('data', () => socket.resetAndDestroy())))
    await expectAll(clientOf(`http://127.0.0.1:${port}`), 'transient', 'ECONNRESET', /connection was cut/)
  })

  test('a server that hangs: the try ends, transient', async () => {
    const port = await listening(createNetServer(() => {}))
    await expectAll(clientOf(`http://127.0.0.1:${port}`), 'transient', 'TimeoutError', /no answer in time/)
  })

  test('a host that is not there: transient', async () => {
    const client = clientOf('http://nowhere.invalid')
    for (const { kind, reason, message } of await failuresOf(client)) {
      expect(kind).toBe('transient')
      expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(reason)
      expect(message).toMatch(/host name/)
    }
  })

  test('something that does not speak HTTP: transient', async () => {
    const port = await listening(createNetServer((socket) => void socket.on('data', () => socket.end('220 mail\r\n'))))
    for (const error of await failuresOf(clientOf(`http://127.0.0.1:${port}`))) expect(error.kind).toBe('transient')
  })

  test('an answer that is cut: transient', async () => {
    const port = await answering((_, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('<ListBucketResult>')
      setImmediate(() => response.destroy())
    })
    const client = clientOf(`http://127.0.0.1:${port}`)
    const failures = [client.list(''), client.get('k').then(collect)]
    for (const failure of failures) {
      const outcome = Symbol.asyncIterator in failure ? collect(failure) : failure
      await expect(outcome).rejects.toMatchObject({ code: 'STORAGE', kind: 'transient' })
    }
  })
})

describe('certificates', () => {
  const tls = (name: string): string => join(projectRoot, 'test/support/tls', name)
  const serve = async (): Promise<string> => {
    const files = { key: readFileSync(tls('self-signed.key')), cert: readFileSync(tls('self-signed.crt')) }
    const answer = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
    const port = await listening(createTlsServer(files, (_, response) => void response.end(answer)))
    return `https://localhost:${port}`
  }

  test('one that nobody vouches for: a person, who is told of AWS_CA_BUNDLE', async () => {
    await expectAll(clientOf(await serve()), 'person', 'DEPTH_ZERO_SELF_SIGNED_CERT', /AWS_CA_BUNDLE/)
  })

  test('AWS_CA_BUNDLE vouches for it', async () => {
    const client = clientOf(await serve(), { env: { AWS_CA_BUNDLE: tls('self-signed.crt') } })
    expect(await collect(client.list(''))).toEqual([])
  })

  test('AWS_CA_BUNDLE that is not there says so', async () => {
    const missing = tls('nothing.crt')
    expect(() => clientOf('https://localhost:1', { env: { AWS_CA_BUNDLE: missing } })).toThrow(missing)
  })

  test('no TLS at all: a person', async () => {
    const port = await answering((_, response) => response.end())
    await expectAll(clientOf(`https://localhost:${port}`), 'person', 'EPROTO', /no TLS there/)
  })
})
