// Runs the application as a child process and keeps count of what it acknowledged.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { keepSqlite, projectRoot } from '../support/make-dist.js'
import { until } from '../support/until.js'
import type { ApplicationOptions } from './application.js'

/** The application as JavaScript, in `directory`; the path of its main file. */
export function compileApplication(directory: string): string {
  mkdirSync(directory, { recursive: true })
  symlinkSync(join(projectRoot, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, 'package.json'), '{"type": "module"}')
  const here = dirname(fileURLToPath(import.meta.url))
  for (const name of ['application', 'workload', 'random']) {
    const source = readFileSync(join(here, `${name}.ts`), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    })
    writeFileSync(join(directory, `${name}.js`), outputText)
  }
  return join(directory, 'application.js')
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class ApplicationProcess {
  /** The newest state that it acknowledged, over all its lives; -1 before the first. */
  acknowledged = -1
  private child: ChildProcess | undefined
  private output = ''
  private errors = ''
  private ended: Promise<void> = Promise.resolve()
  private asked = false
  /** Set when it ended by itself, which it never should. */
  failure: string | undefined

  constructor(
    private readonly script: string,
    private readonly options: ApplicationOptions,
    /** Told of every state at the moment at which its acknowledgement is heard. */
    private readonly onAcknowledged: (n: number) => void = () => {},
  ) {}

  get running(): boolean {
    return this.child !== undefined
  }

  /** Resolves when it has opened the database, with the state that it found there. */
  async start(paused = false, others: Partial<ApplicationOptions> = {}): Promise<number> {
    if (this.child) throw new Error('the application is running already')
    const options: ApplicationOptions = { ...this.options, ...others, paused }
    const child = spawn(process.execPath, ['--require', keepSqlite, this.script, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.child = child
    this.output = ''
    this.errors = ''
    this.asked = false
    alive.add(child)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.hear(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    // A message to a process that is being killed gets lost; so it should.
    child.on('error', () => {})
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        alive.delete(child)
        this.child = undefined
        if (!this.asked) this.failure = `the application ended by itself (${signal ?? code}): ${this.errors}`
        resolve()
      })
    })
    await this.heard(/^open (\d+)$/m)
    return this.acknowledged
  }

  /** Resolves with the newest committed state, which then stays. */
  async pause(): Promise<number> {
    this.output = ''
    this.send('pause')
    await this.heard(/^paused (\d+)$/m)
    return this.acknowledged
  }

  go(): void {
    this.send('go')
  }

  async close(): Promise<void> {
    if (!this.child) return
    this.asked = true
    this.send('close')
    await this.ended
  }

  /** Stop it in its tracks, whatever it holds. */
  freeze(): void {
    this.child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.child?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    this.asked = true
    this.child?.kill('SIGKILL')
    await this.ended
  }

  private send(message: string): void {
    this.child?.send(message, () => {})
  }

  private hear(text: string): void {
    this.output += text
    // Whole lines only: the last one may be cut.
    const whole = this.output.slice(0, this.output.lastIndexOf('\n') + 1)
    for (const [, n] of whole.matchAll(/^(?:ack|open|paused|closed) (\d+)$/gm)) {
      if (Number(n) <= this.acknowledged) continue
      this.acknowledged = Number(n)
      this.onAcknowledged(this.acknowledged)
    }
    if (this.output.length > 4000) this.output = this.output.slice(-500)
  }

  private async heard(pattern: RegExp): Promise<void> {
    const child = this.child
    await until(() => pattern.test(this.output) || this.child !== child, {
      what: `the application to say ${pattern}`,
      intervalMs: 5,
    })
    if (!pattern.test(this.output) && !this.asked) throw new Error(this.failure ?? this.errors)
  }
}
