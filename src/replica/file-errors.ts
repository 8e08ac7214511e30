// Errors of the file system in the words of this program.

import { LitestreamError, messageOf } from '../errors.js'

/** Undefined for anything that is not an error of the operating system. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException).code : undefined
}

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; give the user of this process access to it',
  EPERM: 'not permitted; give the user of this process access to it',
  EROFS: 'the file system is read-only; choose a writable directory for the replica',
  ENOSPC: 'no space left; free some, or choose another directory for the replica',
  EDQUOT: 'the quota is used up; raise it, or choose another directory for the replica',
  ENOTDIR: 'a file is where a directory is needed; remove it, or choose another directory for the replica',
  EEXIST: 'a file is where a directory is needed; remove it, or choose another directory for the replica',
  EISDIR: 'a directory is where the object belongs; remove it',
  ENAMETOOLONG: 'the name is too long for this file system',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  ENOTSUP: 'this file system does not support it (hard links are needed); choose another directory for the replica',
}

/** What passes: a network file system that is away for a while, somebody who holds the file. */
const TRANSIENT: ReadonlySet<string> = new Set([
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'ESTALE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'ENFILE',
])

/** `what` is the operation and its object: `put file:///replica/generations/…`. Errors that are ours already stay as they are. */
export function fileError(what: string, error: unknown): unknown {
  const code = systemCode(error)
  if (code === undefined) return error
  const kind = TRANSIENT.has(code) ? 'transient' : 'person'
  return new LitestreamError('LOCAL', `${what}: ${ADVICE[code] ?? messageOf(error)}`, {
    cause: error,
    kind,
    reason: code,
  })
}
