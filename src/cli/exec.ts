// The application that `replicate -exec` runs: split into words like a shell would, started directly, with our environment and
// outputs and without an input. It is asked to stop before we stop, and replication goes on until it has.

import { type ChildProcess, spawn } from 'node:child_process'
import { LitestreamError } from '../errors.js'

/** Words by the shell's rules for quotes and backslashes. What only a shell can do (variables, pipes, globs) is refused. */
export function splitCommand(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (quote === "'") {
      if (char === "'") quote = ''
      else word += char
    } else if (char === '\\') {
      const next = text[++i]
      if (next === undefined) throw invalid(text, 'it ends with a backslash')
      // Inside double quotes a backslash only protects what is special there.
      word = (word ?? '') + (quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next)
    } else if (quote === '"') {
      if (char === '"') quote = ''
      else word += char
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (';&|<>'.includes(char)) {
      throw invalid(text, `"${char}" needs a shell; write sh -c '…'`)
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== '') throw invalid(text, 'a quote is not closed')
  if (word !== undefined) words.push(word)
  if (words.length === 0) throw invalid(text, 'it is empty')
  return words
}

function invalid(text: string, why: string): LitestreamError {
  return new LitestreamError('USAGE', `cannot parse exec command: invalid command line string: ${why} (${text})`)
}

/** Go's words for the signals that end a program. */
const SIGNAL_WORDS: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGTERM: 'terminated',
}

export class ExecProcess {
  private constructor(
    private readonly child: ChildProcess,
    /** How it ended: a text like Go's (`exit status 7`, `signal: killed`), empty for success. */
    readonly ended: Promise<string>,
  ) {}

  /** Rejects with USAGE when the program cannot be started. */
  static async start(command: string): Promise<ExecProcess> {
    const [file, ...args] = splitCommand(command) as [string, ...string[]]
    const child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => {
        if (signal) resolve(`signal: ${SIGNAL_WORDS[signal] ?? signal}`)
        else resolve(code === 0 ? '' : `exit status ${code}`)
      })
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (cause) => {
        reject(new LitestreamError('USAGE', `cannot start exec command: ${cause.message}`, { cause }))
      })
    })
    return new ExecProcess(child, ended)
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }
}
