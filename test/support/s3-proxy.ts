// A store between us and MinIO that behaves worse than MinIO: it answers with errors, cuts connections before or after the effect,
// hangs, or takes no notice of If-None-Match. What it does with each request is up to the test.

import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import type { MinioServer } from './minio.js'

export interface ProxiedRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

export type Fault =
  | 'none'
  /** The store never hears of the request. */
  | 'cut-before'
  /** The store has done it, and the answer gets lost. */
  | 'cut-after'
  | 'hang'
  /** Conditions are not looked at: whatever is there is overwritten. */
  | 'unconditional'
  | { readonly status: number; readonly code: string }

export interface S3Proxy {
  /** As MinIO, with the proxy's endpoint. */
  readonly server: MinioServer
  /** Replaced by the test at any time. */
  decide: (request: ProxiedRequest) => Fault
  readonly requests: ProxiedRequest[]
  close(): Promise<void>
}

export async function s3Proxy(minio: MinioServer): Promise<S3Proxy> {
  const target = new URL(minio.endpoint)
  const requests: ProxiedRequest[] = []

  const pass = (incoming: ProxiedRequest, body: Buffer, response: ServerResponse, cut: boolean): void => {
    const { method, url, headers } = incoming
    const options = { host: target.hostname, port: target.port, method, path: url, headers, agent: false }
    const outgoing = httpRequest(options, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        if (cut) return void response.destroy()
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        response.end(Buffer.concat(chunks))
      })
    })
    outgoing.on('error', () => response.destroy())
    outgoing.end(body)
  }

  const answer = async (incoming: ProxiedRequest, body: Buffer, response: ServerResponse): Promise<void> => {
    const fault = proxy.decide(incoming)
    if (fault === 'hang') return
    if (fault === 'cut-before') return void response.destroy()
    if (typeof fault === 'object') {
      response.writeHead(fault.status, { 'content-type': 'application/xml' })
      response.end(`<Error><Code>${fault.code}</Code><Message>by the proxy</Message></Error>`)
      return
    }
    if (fault === 'unconditional' && incoming.headers['if-none-match'] !== undefined) {
      // The header is signed and cannot be taken away; without the object it has no effect.
      const [, bucket = '', ...key] = incoming.url.replace(/\?.*/, '').split('/')
      await minio.sdk.send(new DeleteObjectCommand({ Bucket: bucket, Key: decodeURIComponent(key.join('/')) }))
    }
    pass(incoming, body, response, fault === 'cut-after')
  }

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', () => {})
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      const request = { method, url, headers }
      requests.push(request)
      answer(request, Buffer.concat(chunks), response).catch(() => response.destroy())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const proxy: S3Proxy = {
    server: { ...minio, endpoint },
    decide: () => 'none',
    requests,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}
