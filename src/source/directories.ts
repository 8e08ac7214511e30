// Whether names in a directory may mean other files than before: a directory's times change with every name that is made, removed or
// given to another file. So one stat of the directory, for all databases in it, says what would take one for each file.

import { statSync } from 'node:fs'
import { systemClock } from '../clock.js'

/** File systems of this machine alone; elsewhere names may change without the directory's times being told. */
const KEEPS_TIMES = /^(ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|tmpfs|overlay)$/
/** Databases whose turns come together share one look. */
const SHARED_MS = 5

export interface Names {
  /** Of the directory and its times; another one once a name changed, if `newestMs` was not just now. */
  readonly key: string
  /** Milliseconds since 1970: of the last change. */
  readonly newestMs: number
}

const recent = new Map<string, { readonly atMs: number; readonly names: Names | undefined }>()

/** `fileSystem` as in mountinfo. Undefined where times say nothing, and for a directory that cannot be seen. */
export function namesIn(directory: string, fileSystem: string | undefined): Names | undefined {
  if (fileSystem === undefined || !KEEPS_TIMES.test(fileSystem)) return undefined
  const nowMs = systemClock.monotonic()
  const before = recent.get(directory)
  if (before && nowMs - before.atMs < SHARED_MS) return before.names
  const names = look(directory)
  recent.set(directory, { atMs: nowMs, names })
  return names
}

function look(directory: string): Names | undefined {
  try {
    const { dev, ino, mtimeNs, ctimeNs } = statSync(directory, { bigint: true })
    return {
      key: `${dev}:${ino}:${mtimeNs}:${ctimeNs}`,
      newestMs: Math.max(Number(mtimeNs / 1_000_000n), Number(ctimeNs / 1_000_000n)),
    }
  } catch {
    return undefined
  }
}
