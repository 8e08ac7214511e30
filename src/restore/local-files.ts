// Small things that restoring to the local file system needs everywhere: errors in our words, directories that are durable.

import { lstat, open } from 'node:fs/promises'
import { LitestreamError, messageOf } from '../errors.js'

/** An error of the file system as one of ours; one that is ours already stays. */
export function localError(error: unknown, what: string, advice: string): unknown {
  if (error instanceof LitestreamError || (error as NodeJS.ErrnoException).code === undefined) return error
  return new LitestreamError('LOCAL', `${what}: ${messageOf(error)}; ${advice}`, { cause: error })
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some file systems cannot sync a directory; what was done in it has happened all the same.
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle.close()
  }
}

/** Whether there is anything at the path, a dangling link included. Rejects when that cannot be found out. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw localError(error, `cannot look at ${path}`, 'check the permissions of its directory')
  }
}
