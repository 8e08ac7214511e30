// MinIO behind a proxy that makes it a store without conditional writes: If-None-Match is not looked at, what is there is overwritten.

import { createServer, request as httpRequest } from 'node:http'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { listening } from './listening.js'
import type { MinioServer } from './minio.js'

/** As MinIO, with the proxy's endpoint. Gone when the test ends. */
export async function unconditional(
  minio: MinioServer,
  refusal?: readonly [status: number, code: string],
): Promise<MinioServer> {
  const target = new URL(minio.endpoint)
  const server = createServer(async (incoming, response) => {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      const { method = '', url = '', headers } = incoming
      if (headers['if-none-match'] !== undefined && refusal) {
        const [status, code] = refusal
        response.writeHead(status, { 'content-type': 'application/xml' })
        response.end(`<Error><Code>${code}</Code><Message>A header implies what is not implemented</Message></Error>`)
        return
      }
      if (headers['if-none-match'] !== undefined) {
        // The header is signed and cannot be taken away; without the object it has no effect.
        const [, bucket = '', ...key] = url.replace(/\?.*/, '').split('/')
        await minio.sdk.send(new DeleteObjectCommand({ Bucket: bucket, Key: decodeURIComponent(key.join('/')) }))
      }
      const options = { host: target.hostname, port: target.port, method, path: url, headers, agent: false }
      const outgoing = httpRequest(options, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
        answer.on('error', () => response.destroy())
      })
      outgoing.on('error', () => response.destroy())
      outgoing.end(Buffer.concat(chunks))
    } catch {
      response.destroy()
    }
  })
  return { ...minio, endpoint: `http://127.0.0.1:${await listening(server)}` }
}
