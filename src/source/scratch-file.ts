// A file of a process's own in a temporary directory, without a name, so that a crash leaves nothing behind. It is made by the first
// write. What was never written, or was cut off, reads as zeros. Never on the database's volume.

import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'

export class ScratchFile {
  private fd: number | undefined

  /** `what` is kept there, for errors. */
  constructor(
    private readonly what: string,
    private readonly directory = tmpdir(),
  ) {}

  /** Throws LOCAL. */
  write(bytes: Uint8Array, position: number): void {
    this.or(() => {
      this.fd ??= openUnnamed(this.directory)
      let done = 0
      while (done < bytes.length) done += writeSync(this.fd, bytes, done, bytes.length - done, position + done)
    })
  }

  /** Fills all of `into`. Throws LOCAL. */
  read(into: Uint8Array, position: number): void {
    this.or(() => {
      let done = 0
      while (done < into.length && this.fd !== undefined) {
        const bytes = readSync(this.fd, into, done, into.length - done, position + done)
        if (bytes === 0) break
        done += bytes
      }
      into.fill(0, done)
    })
  }

  /** Not longer than this. Throws LOCAL. */
  cut(bytes: number): void {
    this.or(() => {
      if (this.fd !== undefined) ftruncateSync(this.fd, bytes)
    })
  }

  /** Forgets everything and gives the disk back. Idempotent. */
  clear(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }

  private or(work: () => void): void {
    try {
      work()
    } catch (cause) {
      throw new LitestreamError('LOCAL', problemIn(this.what, this.directory, cause), { cause })
    }
  }
}

/** Open for reading and writing. */
export function openUnnamed(directory: string): number {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const folder = mkdtempSync(join(directory, 'litestream-spool-'))
  const fd = openSync(join(folder, 'pages'), 'wx+', 0o600)
  rmSync(folder, { recursive: true })
  return fd
}

export function problemIn(what: string, directory: string, cause: unknown): string {
  return `cannot keep ${what} in ${directory}: ${messageOf(cause)}; free space there or set TMPDIR to a larger place`
}
