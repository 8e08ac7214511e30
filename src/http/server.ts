// What is served on `addr`: /metrics, /healthz and /readyz, for reading only. No profiler and no control on this port: who can reach
// it learns paths of databases and how they are, and can change nothing.
//
//   /healthz   200 while every database and replica is well, else 503 with one line a fault; asks the replicas, at most once in 30 s
//   /readyz    200 once every replica holds its database, else 503

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { probedReport, type Reporting } from '../control/requests.js'
import { messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import type { DaemonReport } from '../replicate/report.js'
import { Exposition } from './metrics.js'

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string
}

const EXPOSED: Readonly<Record<string, (daemon: Reporting, exposition: Exposition) => Promise<Answer>>> = {
  '/metrics': async (daemon, exposition) => ({
    status: 200,
    type: exposition.contentType,
    body: await exposition.text(daemon.report()),
  }),
  '/healthz': async (daemon) => verdict(faultLines(await probedReport(daemon))),
  '/readyz': async (daemon) => verdict(unready(daemon.report())),
}

export class HttpServer {
  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  /** `addr` is `host:port` or `:port`. Undefined, with an error in the log, when it cannot be bound: replication goes on. */
  static async start(addr: string, daemon: Reporting, log: Logger): Promise<HttpServer | undefined> {
    const exposition = new Exposition()
    const server = createServer((request, response) => void respond(request, response, daemon, exposition))
    const [, host, port] = /^(.*):([^:]+)$/.exec(addr) as unknown as [string, string, string]
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port: Number(port), ...(host === '' ? {} : { host: host.replace(/^\[|\]$/g, '') }) }, resolve)
      })
    } catch (error) {
      log.error('cannot start metrics server', { error: `${addr}: ${messageOf(error)}` })
      return undefined
    }
    server.on('error', () => {})
    const bound = (server.address() as { port: number }).port
    log.info('serving metrics on', { url: `http://${host || 'localhost'}:${bound}/metrics` })
    return new HttpServer(server, bound)
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.server.closeAllConnections()
    await closed
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  daemon: Reporting,
  exposition: Exposition,
): Promise<void> {
  request.resume()
  const path = (request.url ?? '').split('?')[0] as string
  const expose = Object.hasOwn(EXPOSED, path) ? EXPOSED[path] : undefined
  let answer: Answer
  if (!expose) answer = { status: 404, body: 'not found; there are /metrics, /healthz and /readyz\n' }
  else if (request.method !== 'GET' && request.method !== 'HEAD') answer = { status: 405, body: 'only GET\n' }
  else {
    try {
      answer = await expose(daemon, exposition)
    } catch (error) {
      answer = { status: 500, body: `${messageOf(error)}\n` }
    }
  }
  response.writeHead(answer.status, {
    'content-type': answer.type ?? 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}

function verdict(faults: readonly string[]): Answer {
  return faults.length === 0 ? { status: 200, body: 'ok\n' } : { status: 503, body: `${faults.join('\n')}\n` }
}

function faultLines({ databases }: DaemonReport): string[] {
  return databases.flatMap(({ path, healthy, state, reason, replicas }) => [
    ...(healthy ? [] : [`${path}: ${state}: ${reason}`]),
    ...replicas.filter((one) => !one.healthy).map((one) => `${path} ${one.name}: ${one.state}: ${one.reason}`),
  ])
}

function unready({ databases }: DaemonReport): string[] {
  return databases.flatMap(({ path, replicas }) =>
    replicas.filter(({ established }) => !established).map(({ name, reason }) => `${path} ${name}: ${reason}`),
  )
}
