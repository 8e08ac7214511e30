// The daemon under test: the real command, killed or stopped at a moment that its own log lines tell.

import { type ChildProcess, spawn } from 'node:child_process'
import { distMain } from '../support/programs.js'

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export interface DaemonEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Where the daemon was when it ended, as far as its log tells. */
export type Stage = 'booting' | 'looking' | 'snapshot' | 'overlay' | 'rotation' | 'steady' | 'stopping'

export class Daemon {
  output = ''
  readonly ended: Promise<DaemonEnd>
  hasEnded = false
  private readonly listeners = new Set<() => void>()

  private constructor(private readonly child: ChildProcess) {
    alive.add(child)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
        for (const listener of [...this.listeners]) listener()
      })
    }
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        alive.delete(child)
        this.hasEnded = true
        for (const listener of [...this.listeners]) listener()
        resolve({ code, signal })
      })
    })
  }

  static async start(configPath: string, temporaryDirectory: string): Promise<Daemon> {
    const args = [await distMain(), 'replicate', '-config', configPath]
    const env = { ...process.env, TMPDIR: temporaryDirectory }
    return new Daemon(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env }))
  }

  get pid(): number {
    return this.child.pid as number
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Resolves with true at the moment the output satisfies `condition`, with false when it ended or `limitMs` has passed. */
  async reached(condition: (output: string) => boolean, limitMs: number): Promise<boolean> {
    if (condition(this.output)) return true
    return await new Promise<boolean>((resolve) => {
      const settle = (result: boolean) => {
        clearTimeout(timer)
        this.listeners.delete(look)
        resolve(result)
      }
      const look = () => {
        if (condition(this.output)) settle(true)
        else if (this.hasEnded) settle(false)
      }
      const timer = setTimeout(() => settle(false), limitMs)
      this.listeners.add(look)
    })
  }

  stage(): Stage {
    const { output } = this
    if (/signal received/.test(output)) return 'stopping'
    if (!/msg=litestream/.test(output)) return 'booting'
    const last = output.trimEnd().split('\n').at(-1) ?? ''
    const writing = output.lastIndexOf('msg="write snapshot"')
    if (writing > output.lastIndexOf('msg="snapshot written"')) {
      return output.indexOf('msg="wal segment written"', writing) > 0 ? 'overlay' : 'snapshot'
    }
    if (!/continuing generation|snapshot written/.test(output)) return 'looking'
    return /wal segment written.*:0 /.test(last) ? 'rotation' : 'steady'
  }
}

export function occurrences(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++
  return count
}
