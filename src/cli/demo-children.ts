// The processes of the demonstration: the sample application and the commands `litestream …`, each a child of its own, run by the
// Node that runs the demonstration. A child ends when the demonstration does.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { LitestreamError } from '../errors.js'
import type { State } from './demo-application.js'

/** A guard against hanging, not a measure of speed. */
const PATIENCE_MS = 60_000

const alive = new Set<Child>()

/** A program beside this one. */
export class Child {
  private readonly child: ChildProcess
  private readonly lines: string[] = []
  private readonly watchers = new Set<() => void>()
  private over = false
  /** The exit status; -1 after a signal. */
  readonly ended: Promise<number>

  constructor(
    private readonly program: string,
    words: readonly string[],
  ) {
    const file = fileURLToPath(new URL(program, import.meta.url))
    this.child = spawn(process.execPath, [file, ...words], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.ended = once(this.child, 'close').then(([status]) => (typeof status === 'number' ? status : -1))
    this.ended.then(
      () => this.finish(),
      () => this.finish(),
    )
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (!stream) continue
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line)
        this.notify()
      })
    }
    alive.add(this)
  }

  get output(): string {
    return this.lines.join('\n')
  }

  get lastLine(): string {
    return this.lines.at(-1) ?? ''
  }

  /** The first line, of those printed and those to come, that matches. */
  async line(matches: (line: string) => boolean, what: string): Promise<string> {
    for (let seen = 0; ; ) {
      for (; seen < this.lines.length; seen++) {
        const line = this.lines[seen] as string
        if (matches(line)) return line
      }
      if (this.over) throw this.problem(`ended before it printed ${what}`)
      await this.change(what)
    }
  }

  /** Asks it to end, and waits until it has. */
  async stop(): Promise<number> {
    this.child.kill('SIGTERM')
    const guard = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS)
    return await this.ended.finally(() => clearTimeout(guard))
  }

  async mustEndWell(): Promise<void> {
    const status = await this.ended
    if (status !== 0) throw this.problem(`ended with status ${status}`)
  }

  problem(what: string): Error {
    return new LitestreamError('LOCAL', `${this.program} ${what}; it printed:\n${this.lines.slice(-20).join('\n')}`)
  }

  private change(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(guard)
        this.watchers.delete(done)
        resolve()
      }
      const guard = setTimeout(() => {
        this.watchers.delete(done)
        reject(this.problem(`did not print ${what} within ${PATIENCE_MS / 1000} s`))
      }, PATIENCE_MS)
      this.watchers.add(done)
    })
  }

  private notify(): void {
    for (const done of [...this.watchers]) done()
  }

  private finish(): void {
    this.over = true
    alive.delete(this)
    this.notify()
  }
}

/** The sample application, writing; and what it said about each state that it committed. */
export class Application {
  private readonly writer: Child

  constructor(database: string) {
    this.writer = new Child('demo-application.js', ['write', database])
  }

  /** The state that transfer number `transfer` led to, once it is committed. */
  async committed(transfer: number): Promise<State> {
    const begin = `{"transfer":${transfer},`
    return parseState(await this.writer.line((line) => line.startsWith(begin), `transfer ${transfer}`))
  }

  newest(): State {
    return parseState(this.writer.lastLine)
  }

  /** Wait for `count` more. */
  async moreTransfers(count: number): Promise<void> {
    await this.committed(this.newest().transfer + count)
  }

  /** Ends it in an orderly way; the last state that it committed. */
  async stop(): Promise<State> {
    await this.writer.stop()
    await this.writer.mustEndWell()
    return this.newest()
  }
}

/** The state that a copy of the application's database holds. */
export async function readCopy(path: string): Promise<State> {
  const reader = new Child('demo-application.js', ['read', path])
  await reader.mustEndWell()
  return parseState(reader.lastLine)
}

export async function stopChildren(): Promise<void> {
  await Promise.allSettled([...alive].map((child) => child.stop()))
}

const parseState = (line: string): State => JSON.parse(line) as State
