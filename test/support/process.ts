// Child processes of tests: run one to its end, or keep one running and wait for what it prints. Whatever is still alive when
// this process exits is killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { until } from './until.js'

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** Replace the environment instead of adding to it. */
  readonly cleanEnv?: boolean | undefined
  readonly cwd?: string | undefined
  readonly input?: string | Uint8Array | undefined
  /** Kill with SIGKILL after this time (60 s by default for `run`). A guard against hanging. */
  readonly timeoutMs?: number | undefined
}

export interface Finished {
  /** Exit status; 128 + the signal's number after a signal, as shells count. */
  readonly code: number
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Both streams in the order in which they arrived. */
  readonly output: () => string
  readonly finished: Promise<Finished>
  readonly isRunning: () => boolean
  /** Resolves with the first output line (of either stream) that matches; rejects when the process ends without one. */
  waitForLine(pattern: RegExp, options?: { timeoutMs?: number }): Promise<string>
  kill(signal?: NodeJS.Signals): void
  /** Signal (SIGTERM by default) and wait for the end; SIGKILL when it does not come in time. */
  stop(signal?: NodeJS.Signals, options?: { timeoutMs?: number }): Promise<Finished>
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Start a command and leave it running. */
export function start(command: string, args: readonly string[], options: CommandOptions = {}): Running {
  const env: NodeJS.ProcessEnv = { ...(options.cleanEnv ? {} : process.env), ...options.env }
  const child = spawn(command, args, { env, cwd: options.cwd, stdio: 'pipe' })
  alive.add(child)
  const texts = { stdout: '', stderr: '', both: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text
      texts.both += text
    })
  }
  child.stdin.on('error', () => {}) // a program that does not read its input is no error of the test
  child.stdin.end(options.input)
  const timer = options.timeoutMs && setTimeout(() => child.kill('SIGKILL'), options.timeoutMs)
  let ended = false
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      resolve({
        code: code ?? 128 + (signal ? constants.signals[signal] : 0),
        signal,
        stdout: texts.stdout,
        stderr: texts.stderr,
      })
    })
  }).finally(() => {
    ended = true
    if (timer) clearTimeout(timer)
    alive.delete(child)
  })
  finished.catch(() => {}) // reported to whoever waits

  return {
    pid: child.pid ?? -1,
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    output: () => texts.both,
    finished,
    isRunning: () => !ended,
    async waitForLine(pattern, { timeoutMs = 30_000 } = {}) {
      const found = () => texts.both.split('\n').find((line) => pattern.test(line))
      await until(() => found() !== undefined || ended, { timeoutMs, what: `${command} to print ${pattern}` }).catch(
        (cause: unknown) => {
          throw new Error(`waited in vain for ${pattern} in:\n${texts.both}`, { cause })
        },
      )
      const line = found()
      if (line === undefined) throw new Error(`${command} ended without printing ${pattern}:\n${texts.both}`)
      return line
    },
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    async stop(signal = 'SIGTERM', { timeoutMs = 30_000 } = {}) {
      child.kill(signal)
      const guard = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      return finished.finally(() => clearTimeout(guard))
    },
  }
}

/** Run a command to its end. Rejects only when it cannot be started. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return start(command, args, { timeoutMs: 60_000, ...options }).finished
}

/** As `run`, but anything other than exit status 0 is an error that shows the output. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const result = await run(command, args, options)
  if (result.code !== 0) {
    const words = [command, ...args].join(' ')
    throw new Error(`${words} ended with ${result.signal ?? result.code}\n${result.stdout}${result.stderr}`)
  }
  return result
}
