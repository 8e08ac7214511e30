// A file system that loses what it may lose when the power goes: a file's bytes since its last sync, a directory's entries since its
// last sync, each for itself. Stands in for `node:fs/promises`, as far as writing and reading a replica in a directory uses it.

import { posix } from 'node:path'
import type { Random } from '../crash/random.js'

class File {
  bytes: Buffer = Buffer.alloc(0)
  durable: Buffer = Buffer.alloc(0)
  readonly mtimeMs = 1
}

class Directory {
  entries = new Map<string, Node>()
  durable = new Map<string, Node>()
  readonly mtimeMs = 1
}

type Node = File | Directory

/** What a canary takes out of `sync`. */
export type Ignored = 'nothing' | 'files' | 'directories' | 'parents of new directories'

const failure = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${path}`), { code, syscall: 'model' })

export class PowerLossFs {
  private readonly root = new Directory()
  /** Calls until the power goes; then nothing ever answers. */
  callsLeft = Number.POSITIVE_INFINITY
  lost = false
  onLoss: () => void = () => {}

  constructor(
    private readonly random: Random,
    private readonly ignored: Ignored = 'nothing',
  ) {}

  /** What is found when the power is back. */
  restart(): void {
    this.lost = false
    this.callsLeft = Number.POSITIVE_INFINITY
    this.settle(this.root, new Set())
  }

  private settle(node: Node, seen: Set<Node>): void {
    if (seen.has(node)) return
    seen.add(node)
    const { random } = this
    if (node instanceof File) {
      if (!node.bytes.equals(node.durable) && random.chance(0.7))
        node.bytes = random.chance(0.5) ? node.durable : node.bytes.subarray(0, random.below(node.bytes.length + 1))
      node.durable = node.bytes
      return
    }
    const found = new Map<string, Node>()
    for (const name of new Set([...node.entries.keys(), ...node.durable.keys()])) {
      const one = random.chance(0.5) ? node.entries.get(name) : node.durable.get(name)
      if (one) found.set(name, one)
    }
    node.entries = found
    node.durable = new Map(found)
    for (const child of found.values()) this.settle(child, seen)
  }

  private find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const part of path.split('/').filter((one) => one !== ''))
      node = node instanceof Directory ? node.entries.get(part) : undefined
    return node
  }

  private parent(path: string): Directory {
    const node = this.find(posix.dirname(path))
    if (!(node instanceof Directory)) throw failure('ENOENT', path)
    return node
  }

  private async call<T>(work: () => T): Promise<T> {
    if (this.lost || this.callsLeft-- <= 0) {
      this.lost = true
      this.onLoss()
      return await new Promise<never>(() => {})
    }
    return work()
  }

  private sync(node: Node): void {
    const { ignored } = this
    if (node instanceof File) {
      if (ignored !== 'files') node.durable = node.bytes
    } else if (ignored === 'parents of new directories') {
      for (const [name, child] of node.entries) if (child instanceof File) node.durable.set(name, child)
      for (const name of node.durable.keys()) if (!node.entries.has(name)) node.durable.delete(name)
    } else if (ignored !== 'directories') node.durable = new Map(node.entries)
  }

  /** What a module that imports `node:fs/promises` gets. */
  get module() {
    const statOf = (node: Node) => ({
      size: node instanceof File ? node.bytes.length : 0,
      mtimeMs: node.mtimeMs,
      isFile: () => node instanceof File,
      isDirectory: () => node instanceof Directory,
    })
    const handleOf = (node: Node) => ({
      write: (chunk: Uint8Array, at: number, length: number) =>
        this.call(() => {
          const file = node as File
          // Seldom all at once.
          const some = 1 + this.random.below(length)
          file.bytes = Buffer.concat([file.bytes, chunk.subarray(at, at + some)])
          return { bytesWritten: some }
        }),
      read: (into: Uint8Array, at: number, length: number, position: number) =>
        this.call(() => {
          const bytes = (node as File).bytes.subarray(position, position + length)
          into.set(bytes, at)
          return { bytesRead: bytes.length, buffer: into }
        }),
      sync: () => this.call(() => this.sync(node)),
      stat: () => this.call(() => statOf(node)),
      close: () => this.call(() => {}),
    })
    const nodeAt = (path: string): Node => {
      const node = this.find(path)
      if (!node) throw failure('ENOENT', path)
      return node
    }
    const add = (path: string, node: Node) => this.parent(path).entries.set(posix.basename(path), node)
    const remove = (path: string) => {
      nodeAt(path)
      this.parent(path).entries.delete(posix.basename(path))
    }
    return {
      open: (path: string, _flags: number, mode?: number) =>
        this.call(() => {
          // Only whoever creates a file gives it a mode.
          if (mode === undefined) return handleOf(nodeAt(path))
          if (this.find(path)) throw failure('EEXIST', path)
          const file = new File()
          add(path, file)
          return handleOf(file)
        }),
      mkdir: (path: string) =>
        this.call(() => {
          let first: string | undefined
          const parts = path.split('/').filter((part) => part !== '')
          for (let depth = 1; depth <= parts.length; depth++) {
            const at = `/${parts.slice(0, depth).join('/')}`
            if (this.find(at)) continue
            add(at, new Directory())
            first ??= at
          }
          return first
        }),
      rename: (from: string, to: string) =>
        this.call(() => {
          const node = nodeAt(from)
          remove(from)
          add(to, node)
        }),
      link: (from: string, to: string) =>
        this.call(() => {
          if (this.find(to)) throw failure('EEXIST', to)
          add(to, nodeAt(from))
        }),
      unlink: (path: string) => this.call(() => remove(path)),
      rmdir: (path: string) =>
        this.call(() => {
          const node = nodeAt(path)
          if (node instanceof Directory && node.entries.size > 0) throw failure('ENOTEMPTY', path)
          remove(path)
        }),
      stat: (path: string) => this.call(() => statOf(nodeAt(path))),
      access: (path: string) => this.call(() => void nodeAt(path)),
      readdir: (path: string, options?: { withFileTypes: boolean }) =>
        this.call(() => {
          const node = nodeAt(path)
          if (!(node instanceof Directory)) throw failure('ENOTDIR', path)
          if (!options?.withFileTypes) return [...node.entries.keys()]
          return [...node.entries].map(([name, child]) => ({ ...statOf(child), name, isSymbolicLink: () => false }))
        }),
    }
  }
}
