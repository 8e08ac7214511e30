// The daemon's end of the control socket: a Unix socket with mode 0600 in a place that only we can write to. A client sends one line
// of JSON, `{"request": NAME, ...}`, gets one line back, `{"result": ...}` or `{"error": TEXT}`, and the connection is closed.
//
// A socket that a dead daemon left behind is replaced. One whose daemon lives is not: two daemons of one configuration would fight
// over its replicas.

import { chmodSync, lstatSync, mkdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'
import type { Logger } from '../logger.js'
import { ask, type ControlRequest } from './client.js'
import type { SocketPlace } from './place.js'

export type ControlHandlers = Readonly<Record<string, (request: ControlRequest) => Promise<unknown>>>

const REQUEST_BYTES_MAX = 4096
const IDLE_MS_MAX = 5000

export class ControlServer {
  private readonly connections = new Set<Socket>()

  private constructor(
    readonly path: string,
    private readonly server: Server,
    private readonly privateDirectory: boolean,
  ) {}

  /** In the first of `places` that can be used; undefined, with a warning, where there is none. Throws EXISTS beside a living daemon. */
  static async start(
    places: readonly SocketPlace[],
    handlers: ControlHandlers,
    log: Logger,
  ): Promise<ControlServer | undefined> {
    const problems: string[] = []
    for (const place of places) {
      try {
        return await ControlServer.listen(place, handlers)
      } catch (error) {
        if (error instanceof LitestreamError) throw error
        problems.push(messageOf(error))
      }
    }
    if (problems.length > 0) {
      const remedy = 'without it "litestream databases" checks only the files; set socket.path to a writable place'
      log.warn('no control socket', { error: problems.join('; '), remedy })
    }
    return undefined
  }

  private static async listen(place: SocketPlace, handlers: ControlHandlers): Promise<ControlServer> {
    const { path, privateDirectory } = place
    if (privateDirectory) ownDirectory(dirname(path))
    else mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    await clear(path)
    const server = createServer({ allowHalfOpen: true })
    const control = new ControlServer(path, server, privateDirectory)
    server.on('connection', (socket) => control.serve(socket, handlers))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      // The socket is made while listen runs: nobody can reach it before its mode is right.
      const before = process.umask(0o177)
      try {
        server.listen(path, resolve)
      } finally {
        process.umask(before)
      }
    })
    server.on('error', () => {})
    chmodSync(path, 0o600)
    return control
  }

  /** Idempotent. The socket's file goes too. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const socket of this.connections) socket.destroy()
    await closed
    if (!this.privateDirectory) return
    try {
      rmdirSync(dirname(this.path))
    } catch {
      // Somebody else's, or in use again.
    }
  }

  private serve(socket: Socket, handlers: ControlHandlers): void {
    this.connections.add(socket)
    let text = ''
    let asked = false
    socket.setEncoding('utf8')
    socket.setTimeout(IDLE_MS_MAX, () => socket.destroy())
    socket.on('error', () => {}) // a client that went away
    socket.on('close', () => this.connections.delete(socket))
    socket.on('end', () => {
      if (!asked) socket.end()
    })
    socket.on('data', (chunk: string) => {
      if (asked) return
      text += chunk
      const end = text.indexOf('\n')
      if (end < 0 && text.length <= REQUEST_BYTES_MAX) return
      asked = true
      void answer(end < 0 ? '' : text.slice(0, end), handlers).then((line) => socket.end(`${line}\n`))
    })
  }
}

async function answer(line: string, handlers: ControlHandlers): Promise<string> {
  try {
    const request = parseRequest(line)
    const handler = Object.hasOwn(handlers, request.request) ? handlers[request.request] : undefined
    if (!handler) return JSON.stringify({ error: `unknown request "${request.request}"` })
    return JSON.stringify({ result: (await handler(request)) ?? null })
  } catch (error) {
    return JSON.stringify({ error: messageOf(error) })
  }
}

function parseRequest(line: string): ControlRequest {
  try {
    const value = JSON.parse(line) as ControlRequest | null
    if (typeof value === 'object' && typeof value?.request === 'string') return value
  } catch {
    // Told below.
  }
  throw new Error('expected one line of JSON with a "request"')
}

/** A directory that nobody else can put anything into, or replace. */
function ownDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const stat = lstatSync(path)
  const ours = stat.uid === (process.getuid?.() ?? 0)
  if (!stat.isDirectory() || !ours || (stat.mode & 0o077) !== 0) {
    throw new Error(`${path} is not a directory of ours with mode 0700; remove it`)
  }
}

/** Removes what a dead daemon left. */
async function clear(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return
  if (!stat.isSocket()) throw new Error(`${path} is there and is not a socket`)
  const answer = await ask<{ pid: number }>(path, { request: 'hello' }, 1000)
  if (!('value' in answer) && answer.refused) {
    unlinkSync(path)
    return
  }
  const who = 'value' in answer ? `process ${answer.value.pid}` : 'it does not answer'
  throw new LitestreamError(
    'EXISTS',
    `another litestream serves this configuration already (${who}, socket ${path}); stop it first`,
  )
}
