// A replica in a directory of the local file system. Keys are paths below it; the object's time is the file's mtime.
//
// Directories are made with mode 0700 and files with 0600 unless told otherwise: a replica holds everything that the database
// holds. The directory itself is made by the first put and never removed.

import { constants, type Dirent } from 'node:fs'
import { access, type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Clock, systemClock } from '../clock.js'
import { LitestreamError } from '../errors.js'
import type { GetOptions, ObjectInfo, PutOptions, ReplicaClient } from './client.js'
import { fileError, systemCode } from './file-errors.js'
import {
  hardLinksWork,
  isTemporaryName,
  removeEmptyDirectories,
  sweepStaleFiles,
  syncDirectory,
  writeFileDurably,
} from './file-write.js'
import { checkKey, checkPrefix, compareKeys } from './keys.js'
import { releasing, throwIfAborted, untilAborted, watched } from './streams.js'

export interface FileClientOptions {
  /** The replica's root directory. */
  readonly path: string
  readonly directoryMode?: number | undefined
  readonly fileMode?: number | undefined
  readonly clock?: Clock | undefined
}

const READ_BYTES = 256 * 1024
/** Files of one directory that are asked for their size and time together. */
const STATS_AT_ONCE = 128

export class FileClient implements ReplicaClient {
  readonly type = 'file'
  readonly url: string
  readonly #root: string
  readonly #modes: { readonly directoryMode: number; readonly fileMode: number }
  readonly #clock: Clock
  readonly #swept = new Set<string>()

  constructor({ path, directoryMode = 0o700, fileMode = 0o600, clock = systemClock }: FileClientOptions) {
    this.#root = resolve(path)
    this.url = pathToFileURL(this.#root).href
    this.#modes = { directoryMode, fileMode }
    this.#clock = clock
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix)
    const what = this.#what('list', prefix)
    throwIfAborted(signal, what)
    try {
      yield* this.#walk(prefix, signal, what)
    } catch (error) {
      throw fileError(what, error)
    }
    throwIfAborted(signal, what)
  }

  /** One directory at a time. A directory counts as its name and `/`: "a-b" comes before what is in "a", as in the keys' order. */
  async *#walk(prefix: string, signal: AbortSignal | undefined, what: string): AsyncGenerator<ObjectInfo> {
    const names = await this.#entries(prefix)
    for (let start = 0; start < names.length; ) {
      throwIfAborted(signal, what)
      const name = names[start] as string
      if (isDirectory(name)) {
        yield* this.#walk(prefix + name, signal, what)
        start++
        continue
      }
      let end = start + 1
      while (end < names.length && end - start < STATS_AT_ONCE && !isDirectory(names[end] as string)) end++
      const keys = names.slice(start, end).map((file) => prefix + file)
      const stats = await Promise.all(keys.map((key) => ifThere(stat(join(this.#root, key)))))
      for (const [place, info] of stats.entries()) {
        throwIfAborted(signal, what)
        if (info) yield { key: keys[place] as string, size: info.size, modifiedAtMs: Math.trunc(info.mtimeMs) }
      }
      start = end
    }
  }

  /** What is directly below `prefix`, in the keys' order; names of directories with a slash. Empty when it is not there. */
  async #entries(prefix: string): Promise<string[]> {
    const directory = join(this.#root, prefix)
    const found: string[] = []
    for (const entry of (await this.#ifThere(readdir(directory, { withFileTypes: true }))) ?? []) {
      // Not awaited for each of half a million files that are nothing else.
      const kind = entry.isFile() ? 'file' : await kindOf(entry, directory)
      if (kind === 'directory') found.push(`${entry.name}/`)
      else if (kind === 'file' && !isTemporaryName(entry.name)) found.push(entry.name)
    }
    return found.sort(compareKeys)
  }

  async listNames(prefix: string, signal?: AbortSignal): Promise<string[]> {
    checkPrefix(prefix)
    const what = this.#what('list', prefix)
    throwIfAborted(signal, what)
    try {
      const names: string[] = []
      for (const name of await this.#entries(prefix)) {
        throwIfAborted(signal, what)
        if (isDirectory(name) && (await this.#holdsObjects(prefix + name))) names.push(name.slice(0, -1))
      }
      return names.sort(compareKeys)
    } catch (error) {
      throw fileError(what, error)
    }
  }

  async #holdsObjects(prefix: string): Promise<boolean> {
    const names = await this.#entries(prefix)
    if (names.some((name) => !isDirectory(name))) return true
    for (const name of names) if (await this.#holdsObjects(prefix + name)) return true
    return false
  }

  async get(key: string, { signal, start = 0 }: GetOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    checkKey(key)
    const what = this.#what('get', key)
    throwIfAborted(signal, what)
    let handle: FileHandle | undefined
    try {
      handle = await this.#ifThere(open(join(this.#root, key), constants.O_RDONLY))
      if (handle && !(await handle.stat()).isFile()) {
        await handle.close()
        handle = undefined
      }
    } catch (error) {
      await handle?.close()
      throw fileError(what, error)
    }
    if (!handle) throw new LitestreamError('NOT_FOUND', `${what}: no such file`)
    const opened = handle
    return releasing(readFrom(opened, start, what), () => opened.close(), signal, what)
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    checkKey(key)
    const what = this.#what('put', key)
    const { signal, ifAbsent: exclusive = false } = options
    if (isTemporaryName(key)) throw new LitestreamError('LOCAL', `${what}: such names are kept for temporary files`)
    throwIfAborted(signal, what)
    const path = join(this.#root, key)
    const directory = dirname(path)
    if (!this.#swept.has(directory)) {
      this.#swept.add(directory)
      await sweepStaleFiles(directory, this.#clock.now())
    }
    const { body: source, hasThrown } = watched(body)
    try {
      const written = await writeFileDurably(path, untilAborted(source, signal, what), { ...this.#modes, exclusive })
      return { key, ...written }
    } catch (error) {
      await removeEmptyDirectories(directory, this.#root)
      if (hasThrown(error)) throw error
      if (systemCode(error) === 'EEXIST') {
        throw new LitestreamError('EXISTS', `${what}: there is such a file already`, { cause: error })
      }
      throw fileError(what, error)
    }
  }

  /** Only a hard link fails when the name is taken, and some file systems have none. */
  async conditionalPuts(_scratchKey: string, signal?: AbortSignal): Promise<boolean> {
    const what = this.#what('write to', '')
    throwIfAborted(signal, what)
    try {
      return await hardLinksWork(this.#root, this.#modes)
    } catch (error) {
      throw fileError(what, error)
    }
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey)
    const directories = new Set<string>()
    for (const key of keys) {
      const what = this.#what('delete', key)
      throwIfAborted(signal, what)
      const path = join(this.#root, key)
      try {
        await this.#ifThere(unlink(path).then(() => true))
      } catch (error) {
        throw fileError(what, error)
      }
      directories.add(dirname(path))
    }
    // Durable before the next call, so that deletions in sequence are in sequence after a power loss too.
    for (const directory of directories) {
      await ifThere(syncDirectory(directory)).catch((error: unknown) => {
        throw fileError(`delete from ${pathToFileURL(directory).href}`, error)
      })
      await removeEmptyDirectories(directory, this.#root)
    }
  }

  async close(): Promise<void> {}

  /** As `ifThere`, but a root in whose place or way a file lies is trouble: it may hide a replica, and is not an empty one. */
  async #ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
    const found = await ifThere(promise)
    if (found !== undefined) return found
    await access(`${this.#root}/.`).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
    })
    return undefined
  }

  #what(operation: string, key: string): string {
    return `${operation} ${this.url}/${key}`
  }
}

async function* readFrom(handle: FileHandle, start: number, what: string): AsyncGenerator<Uint8Array> {
  try {
    for (let position = start; ; ) {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } catch (error) {
    throw fileError(what, error)
  }
}

/** The value, or undefined when the file or a directory above it does not exist (any more). */
async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined
    throw error
  }
}

/** Of an entry: see `#entries`. */
const isDirectory = (name: string): boolean => name.endsWith('/')

/** Symbolic links count as what they lead to. */
async function kindOf(entry: Dirent, directory: string): Promise<'file' | 'directory' | 'other'> {
  const target = entry.isSymbolicLink() ? await ifThere(stat(join(directory, entry.name))) : entry
  if (target?.isFile()) return 'file'
  return target?.isDirectory() ? 'directory' : 'other'
}
