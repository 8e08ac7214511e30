// Tells a follower that something may have happened to its files. chokidar watches the directory (one watch for all databases in
// it); its events are hints only: some get lost, and changes through a memory map make none. So whoever waits here also has
// a time limit, and looks for himself afterwards.

import { basename, dirname } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'

interface Directory {
  readonly watcher: FSWatcher
  readonly listeners: Map<string, Set<() => void>>
}

const directories = new Map<string, Directory>()
const SUFFIXES = ['', '-wal', '-shm', '-journal']

function subscribe(databasePath: string, listener: () => void): () => Promise<void> {
  const path = dirname(databasePath)
  let directory = directories.get(path)
  if (!directory) {
    const listeners = new Map<string, Set<() => void>>()
    // Nothing below the directory is of interest to chokidar itself: the raw events of the directory's own watch carry the name.
    const watcher = watch(path, {
      depth: 0,
      ignoreInitial: true,
      persistent: false,
      ignored: (entry) => entry !== path,
    })
    watcher.on('raw', (_event, name) => {
      for (const notify of listeners.get(basename(String(name))) ?? []) notify()
    })
    // A directory that cannot be watched is polled like any other.
    watcher.on('error', () => {})
    directory = { watcher, listeners }
    directories.set(path, directory)
  }
  const { watcher, listeners } = directory
  const names = SUFFIXES.map((suffix) => basename(databasePath) + suffix)
  for (const name of names) {
    const set = listeners.get(name) ?? new Set()
    listeners.set(name, set.add(listener))
  }
  return async () => {
    for (const name of names) {
      const set = listeners.get(name)
      set?.delete(listener)
      if (set?.size === 0) listeners.delete(name)
    }
    if (listeners.size === 0 && directories.get(path)?.watcher === watcher) {
      directories.delete(path)
      await watcher.close()
    }
  }
}

/** One coalesced signal: any number of hints between two waits are one. */
export class Wakeup {
  private pending = false
  private wake: (() => void) | undefined
  private readonly unsubscribe: () => Promise<void>

  constructor(databasePath: string) {
    this.unsubscribe = subscribe(databasePath, () => this.hint())
  }

  hint(): void {
    this.pending = true
    this.wake?.()
  }

  /** Resolves at the next hint (at once if one came since the last wait) or after `limitMs`. True for a hint. */
  async wait(limitMs: number): Promise<boolean> {
    if (!this.pending) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limitMs)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.wake = undefined
    }
    const hinted = this.pending
    this.pending = false
    return hinted
  }

  /** Waits `ms` whatever happens; hints that come meanwhile stay. */
  async rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, ms))
  }

  async close(): Promise<void> {
    this.hint()
    await this.unsubscribe()
  }
}
