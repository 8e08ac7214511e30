// A forward proxy as companies have one: CONNECT for https, whole URLs for http. It knows hosts that nobody else can look up: all lead
// to one port of this machine.

import { createServer, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { onTestFinished } from 'vitest'
import { listening } from './listening.js'

export interface ForwardProxy {
  /** For HTTP_PROXY and HTTPS_PROXY. */
  readonly url: string
  /** `CONNECT host:port`, and `GET http://host/…` without its query, in their order. */
  readonly asked: string[]
}

/** Gone when the test ends. */
export async function forwardProxy(port: number): Promise<ForwardProxy> {
  const asked: string[] = []
  const server = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming
    asked.push(`${method} ${url.replace(/\?.*/, '')}`)
    const { pathname, search } = new URL(url)
    const options = { host: '127.0.0.1', port, method, path: pathname + search, headers, agent: false }
    const outgoing = httpRequest(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  server.on('connect', ({ url = '' }, socket, head) => {
    asked.push(`CONNECT ${url}`)
    const outgoing = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      if (head.length > 0) outgoing.write(head)
      outgoing.pipe(socket).pipe(outgoing)
    })
    for (const [one, other] of [
      [socket, outgoing],
      [outgoing, socket],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
    onTestFinished(() => void outgoing.destroy())
  })
  return { url: `http://127.0.0.1:${await listening(server)}`, asked }
}
