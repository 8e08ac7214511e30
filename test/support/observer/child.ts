// A child process that is spoken to: calls go over the IPC channel and are answered one by one. It may see a directory through a
// read-only bind mount in a mount namespace of its own, as a container with a read-only volume does.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'vitest'
import { keepSqlite } from '../make-dist.js'
import { findMountOptions } from './mount-options.js'

export type Mount = 'writable' | 'read-only'
export const MOUNTS: readonly Mount[] = ['writable', 'read-only']

export interface Child {
  readonly pid: number
  /** Rejects with the child's error, or when the child ends first. */
  call<Result = void>(method: string, argument?: unknown): Promise<Result>
  kill(signal?: NodeJS.Signals): Promise<void>
  /** What it wrote to its standard error. */
  readonly stderr: () => string
  readonly ended: Promise<void>
}

export interface ChildOptions {
  /** A directory that the child shall see read-only. */
  readonly readOnly?: string | undefined
  /** Words before the command, for another namespace. */
  readonly through?: readonly string[] | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Permission bits hold for it, also when it is root. */
  readonly obedient?: boolean | undefined
}

/** Root without the capabilities that let it read what it may not. */
const OBEDIENT = [
  'setpriv',
  '--bounding-set=-dac_override,-dac_read_search',
  '--inh-caps=-dac_override,-dac_read_search',
]

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export function startChild(program: string, options: ChildOptions = {}): Child {
  const command = options.through ?? (options.readOnly ? readOnlyCommand(options.readOnly) : [])
  const obedient = options.obedient && process.getuid?.() === 0 ? OBEDIENT : []
  const [file = '', ...args] = [...command, ...obedient, process.execPath, '--require', keepSqlite, program]
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  })
  alive.add(child)
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>()
  let calls = 0
  let over = false
  child.on('message', (message: { id: number; result?: unknown; error?: string }) => {
    const call = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) call?.resolve(message.result)
    else call?.reject(new Error(message.error))
  })
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve())
    child.on('close', () => resolve())
  }).then(() => {
    over = true
    alive.delete(child)
    for (const { reject } of waiting.values()) {
      reject(new Error(`the child ended (${child.signalCode ?? child.exitCode})\n${stderr}`))
    }
    waiting.clear()
  })
  return {
    pid: child.pid ?? -1,
    call<Result>(method: string, argument?: unknown) {
      return new Promise<Result>((resolve, reject) => {
        if (over) return reject(new Error(`the child has ended\n${stderr}`))
        const id = ++calls
        waiting.set(id, { resolve: resolve as (result: unknown) => void, reject })
        child.send({ id, method, argument }, (error) => {
          if (error && waiting.delete(id)) reject(error)
        })
      })
    },
    kill(signal = 'SIGKILL') {
      child.kill(signal)
      return ended
    },
    stderr: () => stderr,
    ended,
  }
}

/** Words before a command that make it see `directory` read-only. Mounts of a user namespace must keep the flags of their origin. */
export function readOnlyCommand(directory: string): string[] {
  const flags = findMountOptions(readFileSync('/proc/self/mountinfo', 'utf8'), directory)
  const remount = ['remount', 'ro', 'bind', ...flags].join(',')
  return namespaceCommand(`mount --bind "$1" "$1" && mount -o ${remount} "$1" && shift && exec "$@"`, directory)
}

/** Words before a command that run it in a mount namespace after `script`; `$1` is the directory, `$2...` the command. */
export function namespaceCommand(script: string, directory: string): string[] {
  const flags = process.getuid?.() === 0 ? '-m' : '-rm'
  return ['unshare', flags, 'sh', '-c', script, 'sh', directory]
}

let problem: string | undefined

/** Skip the test where no mount namespace can be made. In CI nothing may be skipped: there it fails. */
export function needNamespaces(context: TestContext, mount: Mount = 'read-only'): void {
  if (mount === 'writable') return
  if (problem === undefined) {
    const [file = '', ...args] = [...readOnlyCommand('/tmp'), 'true']
    const result = spawnSync(file, args, { encoding: 'utf8' })
    problem = result.status === 0 ? '' : (result.error?.message ?? result.stderr.trim())
  }
  if (problem === '') return
  if (process.env.CI) throw new Error(`this test needs mount namespaces: ${problem}`)
  context.skip(`needs mount namespaces: ${problem}`)
}
