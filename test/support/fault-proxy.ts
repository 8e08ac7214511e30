// An HTTP proxy in front of a store that goes wrong on purpose, by a seeded schedule: it refuses, cuts, delays, loses answers, and
// shortens or changes what it passes on. The Host header stays, so that signatures fit.
//
// A fault may come before the store has the request (the object is not there) or after (it is there, and the client does not
// know). What is chosen follows from the seed and the order of the requests.

import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Random } from '../crash/random.js'

/**
 * `status-N` answers N without asking the store. `reset-before` and `hang-before`: the store never hears of it. `reset-after` and
 * `hang-after`: the store has done it, the answer is lost. `late`: the connection is cut, and the store hears of it a while later.
 * `truncate`: the answer's connection breaks in its body. `shorten`: the answer is shorter and says so. `alter`: one byte of an
 * object's body is another. `slow`: everything takes a while.
 */
export const FAULTS = [
  'status-500',
  'status-503',
  'status-429',
  'status-403',
  'reset-before',
  'reset-after',
  'hang-before',
  'hang-after',
  'late',
  'truncate',
  'shorten',
  'alter',
  'slow',
] as const
export type Fault = (typeof FAULTS)[number]

/** The probability of each fault for a request; together at most 1. */
export type Weather = Readonly<Partial<Record<Fault, number>>>

const STATUS: Readonly<Record<string, readonly [number, string]>> = {
  'status-500': [500, 'InternalError'],
  'status-503': [503, 'SlowDown'],
  'status-429': [429, 'TooManyRequests'],
  'status-403': [403, 'AccessDenied'],
}

export class FaultProxy {
  readonly counts: Record<string, number> = {}
  requests = 0
  private current: Weather = {}
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 })
  private readonly held = new Set<Socket>()
  private readonly under = new Set<Promise<void>>()
  private readonly random: Random

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
    readonly endpoint: string,
    seed: number,
  ) {
    this.random = new Random(seed)
  }

  static async start(target: string, seed: number): Promise<FaultProxy> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const proxy = new FaultProxy(server, new URL(target), `http://127.0.0.1:${port}`, seed)
    server.on('request', (incoming, response) => proxy.serve(incoming, response))
    server.on('clientError', (_, socket) => socket.destroy())
    return proxy
  }

  get weather(): Weather {
    return this.current
  }

  /** What hangs is let go with the weather that made it hang. */
  set weather(weather: Weather) {
    this.current = weather
    for (const socket of this.held) socket.destroy()
    this.held.clear()
  }

  /** Resolves when nothing of what clients have sent is still on its way to the store. */
  async settled(): Promise<void> {
    while (this.under.size > 0) await Promise.all(this.under)
  }

  async close(): Promise<void> {
    this.weather = {}
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
    await this.settled()
    this.agent.destroy()
  }

  private serve(incoming: IncomingMessage, response: ServerResponse): void {
    this.requests++
    incoming.on('error', () => {})
    response.on('error', () => {})
    const fault = this.pick()
    if (fault) this.counts[fault] = (this.counts[fault] ?? 0) + 1
    const done = this.answer(fault, incoming, response)
      .catch(() => void incoming.socket.destroy())
      .finally(() => this.under.delete(done))
    this.under.add(done)
  }

  private pick(): Fault | undefined {
    let left = this.random.next()
    for (const fault of FAULTS) {
      left -= this.current[fault] ?? 0
      if (left < 0) return fault
    }
    return undefined
  }

  private async answer(fault: Fault | undefined, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = incoming
    const status = fault && STATUS[fault]
    if (status) {
      const [code, name] = status
      incoming.resume()
      response.writeHead(code, { 'content-type': 'application/xml', connection: 'close' })
      response.end(`<?xml version="1.0"?><Error><Code>${name}</Code><Message>the weather is bad</Message></Error>`)
      return
    }
    if (fault === 'reset-before') return void socket.resetAndDestroy()
    if (fault === 'hang-before') {
      incoming.resume()
      return this.hold(socket)
    }
    const body = await bytesOf(incoming)
    // The client has died in the middle of its request: the store would get no whole one either.
    if (!incoming.complete) return
    if (fault === 'late') {
      socket.resetAndDestroy()
      await pause(20 + this.random.below(400))
      await this.forward(incoming, body)
      return
    }
    if (fault === 'slow') await pause(20 + this.random.below(250))
    const { answer, content } = await this.forward(incoming, body)
    if (fault === 'reset-after') return void socket.resetAndDestroy()
    if (fault === 'hang-after') return this.hold(socket)
    const isObject = incoming.method === 'GET' && !/[?&]list-type=|[?&]location/.test(incoming.url ?? '')
    let sent = content
    if (fault === 'alter' && isObject && content.length > 0) {
      sent = Buffer.from(content)
      const at = this.random.below(sent.length)
      sent[at] = (sent[at] as number) ^ (1 + this.random.below(255))
    }
    if (fault === 'shorten') sent = content.subarray(0, this.random.below(content.length + 1))
    const headers = { ...answer.headers }
    delete headers['transfer-encoding']
    const hasBody = incoming.method !== 'HEAD' && answer.statusCode !== 204 && answer.statusCode !== 304
    if (hasBody) headers['content-length'] = String(sent.length)
    response.writeHead(answer.statusCode ?? 502, headers)
    if (fault === 'truncate' && sent.length > 1) {
      response.write(sent.subarray(0, this.random.below(sent.length)), () => socket.resetAndDestroy())
      return
    }
    response.end(hasBody ? sent : undefined)
  }

  private hold(socket: Socket): void {
    this.held.add(socket)
    socket.once('close', () => this.held.delete(socket))
  }

  private forward(incoming: IncomingMessage, body: Buffer): Promise<{ answer: IncomingMessage; content: Buffer }> {
    const { hostname, port } = this.target
    const { method = 'GET', url = '/', headers } = incoming
    return new Promise((resolve, reject) => {
      const options = { hostname, port, method, path: url, headers, agent: this.agent, setHost: false }
      const outgoing = request(options, (answer) => {
        bytesOf(answer).then((content) => resolve({ answer, content }), reject)
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
