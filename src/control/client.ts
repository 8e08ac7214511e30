// Asks the daemon that serves a configuration. One line of JSON each way; see server. Waits briefly, because a health check waits
// for it: a daemon that does not answer in time is a finding, not an error.

import { lstatSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { Config } from '../config/types.js'
import { messageOf } from '../errors.js'
import { type SocketPlace, socketPlaces } from './place.js'

/** A healthy daemon answers within milliseconds, a busy one within some hundred. */
const ANSWER_MS_MAX = 2000

export type DaemonAnswer<T> =
  /** There is no socket: no daemon serves this configuration here. */
  | { readonly kind: 'none' }
  | { readonly kind: 'answer'; readonly value: T; readonly path: string }
  /** There is one and nobody answers, or it must not be trusted. */
  | { readonly kind: 'silent'; readonly reason: string; readonly path: string }

export interface ControlRequest {
  readonly request: string
  readonly [parameter: string]: unknown
}

/** The first socket that is there decides. */
export async function askDaemon<T>(config: Config, request: ControlRequest): Promise<DaemonAnswer<T>> {
  for (const { path, privateDirectory } of socketPlaces(config)) {
    const state = look(path, privateDirectory)
    if (state === 'absent') continue
    if (state !== 'there') return { kind: 'silent', reason: state, path }
    const answer = await ask<T>(path, request)
    return 'value' in answer ? { kind: 'answer', value: answer.value, path } : { kind: 'silent', ...answer, path }
  }
  return { kind: 'none' }
}

/** `absent`, `there`, or why it is not to be trusted. */
function look(path: string, privateDirectory: SocketPlace['privateDirectory']): string {
  try {
    if (privateDirectory) {
      const directory = lstatSync(dirname(path), { throwIfNoEntry: false })
      if (!directory) return 'absent'
      const stranger = strangerOf(directory.uid)
      if (stranger !== undefined) return `${dirname(path)} belongs to ${stranger}`
    }
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (!stat) return 'absent'
    if (!stat.isSocket()) return `${path} is not a socket`
    const stranger = strangerOf(stat.uid)
    return stranger === undefined ? 'there' : `${path} belongs to ${stranger}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return 'absent'
    return `the control socket cannot be reached: ${messageOf(error)}`
  }
}

/** Somebody who could make us believe anything. Root may ask everybody's daemon. */
function strangerOf(uid: number): string | undefined {
  const own = process.getuid?.() ?? 0
  return own === 0 || uid === own || uid === 0 ? undefined : `another user (${uid}); ask as that user`
}

/** Resolves in any case, at the latest when patience has run out. */
export function ask<T>(
  path: string,
  request: ControlRequest,
  timeoutMs = ANSWER_MS_MAX,
): Promise<{ readonly value: T } | { readonly reason: string; readonly refused: boolean }> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(path)
    const fail = (reason: string, refused = false): void => {
      socket.destroy()
      clearTimeout(timer)
      resolve({ reason, refused })
    }
    const timer = setTimeout(() => fail(`the daemon at ${path} has not answered for ${timeoutMs / 1000}s`), timeoutMs)
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const dead = error.code === 'ECONNREFUSED'
      fail(dead ? `nobody answers at ${path}: the daemon has died` : messageOf(error), dead)
    })
    socket.on('end', () => {
      try {
        const answer = JSON.parse(text) as { readonly result?: T; readonly error?: string }
        if (answer.result === undefined) return fail(answer.error ?? 'the daemon gave no answer')
        clearTimeout(timer)
        socket.destroy()
        resolve({ value: answer.result })
      } catch {
        fail(`the daemon at ${path} broke off its answer`)
      }
    })
  })
}
