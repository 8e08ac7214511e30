// A small S3-compatible store in this process, for what a real one cannot be made to do: refuse single operations, ignore
// conditions, tell another time. Path style, one bucket, no check of signatures. Keeps every request.

import { createServer, type IncomingHttpHeaders } from 'node:http'
import { listening } from './listening.js'

type Operation = 'list' | 'put' | 'get' | 'delete' | 'multipart'

export interface FakeStoreOptions {
  /** Answered with AccessDenied. */
  readonly deny?: readonly Operation[]
  readonly ignoreIfNoneMatch?: boolean
  /** Added to the time in the Date header. */
  readonly aheadMs?: number
}

export interface FakeRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

export interface FakeStore {
  readonly port: number
  readonly endpoint: string
  readonly objects: ReadonlyMap<string, Buffer>
  readonly requests: readonly FakeRequest[]
}

/** Gone when the test ends. The bucket is `bkt`. */
export async function fakeStore(options: FakeStoreOptions = {}): Promise<FakeStore> {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Buffer[]>()
  const requests: FakeRequest[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      requests.push({ method, url, headers })
      const { pathname, searchParams: query } = new URL(url, 'http://x')
      const key = decodeURIComponent(pathname.replace(/^\/bkt\/?/, ''))
      const body = Buffer.concat(chunks)
      response.setHeader('date', new Date(Date.now() + (options.aheadMs ?? 0)).toUTCString())
      const refuse = (status: number, code: string): void => {
        response.writeHead(status, { 'content-type': 'application/xml' })
        response.end(`<Error><Code>${code}</Code><Message>because ${code}</Message></Error>`)
      }
      const denied = (operation: Operation): boolean => {
        if (!options.deny?.includes(operation)) return false
        refuse(403, 'AccessDenied')
        return true
      }
      const isTaken = objects.has(key) && headers['if-none-match'] === '*' && !options.ignoreIfNoneMatch
      if (method === 'GET' && key === '') {
        if (denied('list')) return
        const prefix = query.get('prefix') ?? ''
        const found = [...objects].filter(([one]) => one.startsWith(prefix)).sort()
        const entries = found.map(
          ([one, bytes]) => `<Contents><Key>${one}</Key><Size>${bytes.length}</Size></Contents>`,
        )
        response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`)
      } else if (method === 'GET') {
        if (denied('get')) return
        const bytes = objects.get(key)
        if (bytes) response.end(bytes)
        else refuse(404, 'NoSuchKey')
      } else if (method === 'POST' && query.has('delete')) {
        const keys = [...body.toString().matchAll(/<Key>([^<]+)<\/Key>/g)].map((match) => match[1] as string)
        const isDenied = options.deny?.includes('delete')
        for (const one of isDenied ? [] : keys) objects.delete(one)
        const errors = isDenied ? keys.map((one) => `<Error><Key>${one}</Key><Code>AccessDenied</Code></Error>`) : []
        response.end(`<DeleteResult>${errors.join('')}</DeleteResult>`)
      } else if (method === 'POST' && query.has('uploads')) {
        if (denied('multipart')) return
        uploads.set('one', [])
        response.end('<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>')
      } else if (method === 'PUT' && query.has('partNumber')) {
        const parts = uploads.get('one') ?? []
        parts[Number(query.get('partNumber')) - 1] = body
        response.writeHead(200, { etag: '"part"' }).end()
      } else if (method === 'POST') {
        if (isTaken) return refuse(412, 'PreconditionFailed')
        objects.set(key, Buffer.concat(uploads.get('one') ?? []))
        response.end('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')
      } else if (method === 'PUT') {
        if (denied('put')) return
        if (isTaken) return refuse(412, 'PreconditionFailed')
        objects.set(key, body)
        response.writeHead(200, { etag: '"x"' }).end()
      } else {
        if (!query.has('uploadId') && denied('delete')) return
        if (!query.has('uploadId')) objects.delete(key)
        response.writeHead(204).end()
      }
    })
  })
  const port = await listening(server)
  return { port, endpoint: `http://127.0.0.1:${port}`, objects, requests }
}
