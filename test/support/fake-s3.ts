// A small S3-compatible store in this process, for what a real one cannot be made to do: refuse single operations, ignore or refuse
// conditions, let keys expire, tell another time. Path style, one bucket, no check of signatures. Keeps every request.

import { createServer, type IncomingHttpHeaders } from 'node:http'
import { listening } from './listening.js'

type Operation = 'list' | 'put' | 'get' | 'delete' | 'multipart'

export interface FakeStoreOptions {
  /** Answered with AccessDenied. */
  readonly deny?: readonly Operation[]
  readonly ignoreIfNoneMatch?: boolean
  /** Asked first, of every request: a status and S3's code that it is answered with, or undefined. */
  readonly refuse?: (request: FakeRequest) => readonly [number, string] | undefined
  /** Added to the time in the Date header. */
  readonly aheadMs?: number
}

export interface FakeRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** The access key that signed. */
export function signerOf({ headers }: FakeRequest): string {
  return /Credential=([^/]*)\//.exec(headers.authorization ?? '')?.[1] ?? ''
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
  const times = new Map<string, string>()
  const uploads = new Map<string, Buffer[]>()
  const requests: FakeRequest[] = []
  const store = (key: string, bytes: Buffer): void => {
    objects.set(key, bytes)
    times.set(key, new Date().toISOString())
  }
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      const request = { method, url, headers }
      requests.push(request)
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
      const refused = options.refuse?.(request)
      if (refused) return refuse(...refused)
      const isTaken = objects.has(key) && headers['if-none-match'] === '*' && !options.ignoreIfNoneMatch
      if (method === 'GET' && key === '') {
        if (denied('list')) return
        const prefix = query.get('prefix') ?? ''
        const below = new Set<string>()
        const entries: string[] = []
        for (const one of [...objects.keys()].filter((one) => one.startsWith(prefix)).sort()) {
          const slash = query.get('delimiter') === '/' ? one.indexOf('/', prefix.length) : -1
          const size = objects.get(one)?.length
          if (slash >= 0) below.add(one.slice(0, slash + 1))
          else
            entries.push(
              `<Contents><Key>${one}</Key><Size>${size}</Size><LastModified>${times.get(one)}</LastModified></Contents>`,
            )
        }
        const names = [...below].map((one) => `<CommonPrefixes><Prefix>${one}</Prefix></CommonPrefixes>`)
        const listing = `<IsTruncated>false</IsTruncated>${entries.join('')}${names.join('')}`
        response.end(`<ListBucketResult>${listing}</ListBucketResult>`)
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
        store(key, Buffer.concat(uploads.get('one') ?? []))
        response.end('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')
      } else if (method === 'PUT') {
        if (denied('put')) return
        if (isTaken) return refuse(412, 'PreconditionFailed')
        store(key, body)
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
