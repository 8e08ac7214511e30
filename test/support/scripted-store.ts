// A store that answers as a test tells it to: one HTTP server for a test, and a client of ours that talks to it.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'
import { S3ReplicaClient, type S3ReplicaOptions } from '../../src/replica/s3-client.js'
import { listening } from './listening.js'

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Answer = (request: Request, response: ServerResponse) => void | Promise<void>

/** A store that answers as told, with the requests that it got. */
export async function scripted(answer: Answer, options: Partial<S3ReplicaOptions> = {}) {
  const requests: Request[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      const request = { method, url, headers, body: Buffer.concat(chunks).toString('latin1') }
      requests.push(request)
      void answer(request, response)
    })
  })
  const endpoint = `http://127.0.0.1:${await listening(server)}`
  const keys = { accessKeyId: 'the-id', secretAccessKey: 'the-secret' }
  const client = new S3ReplicaClient({ bucket: 'bkt', path: '/root/', endpoint, ...keys, env: {}, ...options })
  onTestFinished(() => client.close())
  return { client, requests, endpoint }
}
