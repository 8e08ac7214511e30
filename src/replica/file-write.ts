// Durable and atomic writing of one file: a temporary file beside it, fsync, rename (or link, which fails when the name is
// taken), fsync of the directory, and of the parents of every directory made on the way. After a crash at any moment the final
// name is either absent or complete; what may be left is a temporary file, which listings ignore and a later run removes.

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemCode } from './file-errors.js'

const TEMPORARY = /\.tmp-[0-9a-f]{16}$/
const STALE_MS = 3_600_000

/** Names that only `writeFileDurably` makes. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name)
}

export interface FileModes {
  readonly directoryMode: number
  readonly fileMode: number
}

export interface WrittenFile {
  readonly size: number
  readonly modifiedAtMs: number
}

/**
 * Write `body` to `path`. With `exclusive`, an error with code EEXIST when the name is taken. Nothing is left when it fails,
 * except directories (see `removeEmptyDirectories`).
 */
export async function writeFileDurably(
  path: string,
  body: AsyncIterable<Uint8Array>,
  options: FileModes & { readonly exclusive: boolean },
): Promise<WrittenFile> {
  const temporary = `${path}.tmp-${randomBytes(8).toString('hex')}`
  const handle = await openIn(temporary, options)
  let written: WrittenFile
  try {
    try {
      for await (const chunk of body) await writeFully(handle, chunk)
      await handle.sync()
      const { size, mtimeMs } = await handle.stat()
      written = { size, modifiedAtMs: Math.trunc(mtimeMs) }
    } finally {
      await handle.close()
    }
    if (options.exclusive) await link(temporary, path)
    else await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
  if (options.exclusive) await unlink(temporary)
  await syncDirectory(dirname(path))
  return written
}

/** Tried in `directory`, which is made when it is not there. Nothing is left. */
export async function hardLinksWork(directory: string, modes: FileModes): Promise<boolean> {
  const path = join(directory, `link.tmp-${randomBytes(8).toString('hex')}`)
  const linked = join(directory, `link.tmp-${randomBytes(8).toString('hex')}`)
  await (await openIn(path, modes)).close()
  try {
    await link(path, linked)
    await unlink(linked)
    return true
  } catch (error) {
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error) ?? '')) return false
    throw error
  } finally {
    await unlink(path).catch(() => {})
  }
}

/** Opens a new file, making its directory. Tries again when a deletion in parallel takes the empty directory away. */
async function openIn(path: string, { directoryMode, fileMode }: FileModes): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    await makeDirectory(dirname(path), directoryMode)
    try {
      return await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, fileMode)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || attempt === 10) throw error
    }
  }
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const first = await mkdir(path, { recursive: true, mode })
      // A new directory is durable when the one that names it is.
      for (let made = first && path; made && made.length >= (first as string).length; made = dirname(made)) {
        await syncDirectory(dirname(made))
      }
      return
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || attempt === 10) throw error
    }
  }
}

async function writeFully(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let start = 0; start < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, start, chunk.length - start)
    start += bytesWritten
  }
}

/** Some file systems cannot sync a directory and need not; any other failure counts. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** Remove `directory` and its parents while they are empty, up to `root`, which stays. */
export async function removeEmptyDirectories(directory: string, root: string): Promise<void> {
  for (let path = directory; path.length > root.length && path.startsWith(root); path = dirname(path)) {
    try {
      await rmdir(path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') return // not empty, or not ours to remove: that is for the next deletion
    }
  }
}

/** Remove temporary files in `directory` that a crashed run left an hour ago or longer. Failing to is no harm. */
export async function sweepStaleFiles(directory: string, nowMs: number): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter(isTemporaryName)) {
    const path = join(directory, name)
    const info = await stat(path).catch(() => undefined)
    if (info?.isFile() && nowMs - info.mtimeMs > STALE_MS) await unlink(path).catch(() => {})
  }
}
