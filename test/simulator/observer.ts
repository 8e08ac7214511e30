// The world as one simulated daemon sees it: the model's files through `Source`, each system call of which takes a little time, in
// which the application may act. Everything above (live database, pins' places, scanner, tracker, follower) is the real thing.

import { LitestreamError } from '../../src/errors.js'
import type { ObservedFiles, Refusal } from '../../src/source/files.js'
import type { HeldPins } from '../../src/source/pins.js'
import type { Source } from '../../src/source/source.js'
import { parseDatabaseHeader } from '../../src/sqlite/database-header.js'
import { WalIndexParser } from '../../src/sqlite/wal-index.js'
import type { Random } from '../crash/random.js'
import type { Connection } from './connections.js'
import { type DatabaseFile, type Disk, PAGE_BYTES, type ShmFile, type WalFile } from './disk.js'
import type { Process, Scheduler } from './scheduler.js'
import type { Sqlite } from './sqlite.js'

export const DATABASE_PATH = '/db/app.db'

export interface ObserverWorld {
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly sqlite: Sqlite
  readonly random: Random
  readonly shmWritable: boolean
  /** The application may act now, in the midst of what the observer does. */
  preempt(): void
}

/** What a process holds; all of it goes when the process dies. */
export class Observer implements Source {
  readonly connections = new Set<Connection>()
  private readonly watches = new Set<() => void>()

  constructor(
    readonly world: ObserverWorld,
    readonly process: Process,
  ) {}

  open(): ObservedFiles | Refusal {
    const { disk } = this.world
    this.world.preempt()
    if (!disk.database) return { missing: true, reason: 'there is no database yet' }
    return new ModelFiles(this, disk.database)
  }

  pins(): HeldPins {
    return new ModelPins(this)
  }

  holdsDeadManSwitch(shmInode: bigint): boolean {
    for (const connection of this.connections) {
      if (BigInt(connection.shm.inode) === shmInode && connection.shm.deadManSwitch.has(connection)) return true
    }
    return false
  }

  readonly watch = (_paths: string[], hint: () => void) => {
    this.watches.add(hint)
    this.world.scheduler.after(1, this.process, hint)
    return async () => void this.watches.delete(hint)
  }

  /** Events of a watch come late, and some get lost. */
  changed(): void {
    const { scheduler, random } = this.world
    if (this.watches.size === 0 || random.chance(0.1)) return
    const hints = [...this.watches]
    scheduler.after(random.below(5), this.process, () => {
      for (const hint of hints) if (this.watches.has(hint)) hint()
    })
  }

  async passiveCheckpoint(): Promise<never> {
    throw new LitestreamError('SOURCE', 'the simulated daemon may not checkpoint')
  }

  /** What the kernel does for a process that is gone. */
  die(): void {
    for (const connection of this.connections) this.world.sqlite.drop(connection)
    this.connections.clear()
    this.watches.clear()
  }
}

const SYSTEM_CALL_MS = 0.03

class ModelFiles implements ObservedFiles {
  readonly path = DATABASE_PATH
  readonly walPath = `${DATABASE_PATH}-wal`
  readonly shmPath = `${DATABASE_PATH}-shm`
  shmInode = 0n
  shmWritable = false
  private wal: WalFile | undefined
  private shm: ShmFile | undefined
  private readonly indexParser = new WalIndexParser()
  private closed = false

  constructor(
    private readonly observer: Observer,
    private readonly file: DatabaseFile,
  ) {}

  private get world(): ObserverWorld {
    return this.observer.world
  }

  private systemCall(): void {
    this.world.scheduler.spend(SYSTEM_CALL_MS)
    this.world.preempt()
  }

  header() {
    const size = this.file.pages.length * PAGE_BYTES
    return { header: parseDatabaseHeader(this.file.pages[0] ?? Buffer.alloc(0)), size }
  }

  databaseBytes(): number {
    return this.file.pages.length * PAGE_BYTES
  }

  companions() {
    this.systemCall()
    const { wal, shm } = this.world.disk
    return { wal: wal !== undefined, walBytes: (wal?.length ?? 0) > 0, shm: shm !== undefined, journal: false }
  }

  stamp() {
    this.systemCall()
    const { file } = this
    const { directoryMtimeNs } = this.world.disk
    // biome-ignore lint/complexity/useMathMinMax: these are bigints
    const newest = file.mtimeNs > directoryMtimeNs ? file.mtimeNs : directoryMtimeNs
    return {
      ino: String(file.inode),
      size: this.databaseBytes(),
      mtimeNs: String(file.mtimeNs),
      ctimeNs: String(file.mtimeNs),
      newestMs: Number(newest / 1_000_000n),
    }
  }

  openLive(): boolean {
    const { wal, shm } = this.world.disk
    if (!wal || !shm) return false
    this.wal = wal
    this.shm = shm
    this.shmInode = BigInt(shm.inode)
    this.shmWritable = this.world.shmWritable
    return true
  }

  names() {
    this.systemCall()
    const { directoryMtimeNs } = this.world.disk
    return { key: String(directoryMtimeNs), newestMs: Number(directoryMtimeNs / 1_000_000n) }
  }

  replaced(): string | undefined {
    this.systemCall()
    const { disk } = this.world
    if (disk.database !== this.file) return this.path
    if (this.wal && disk.wal !== this.wal) return this.walPath
    if (this.shm && disk.shm !== this.shm) return this.shmPath
    return undefined
  }

  walIndex() {
    this.systemCall()
    return this.indexParser.parse((this.shm as ShmFile).bytes)
  }

  readWal(into: Uint8Array, length: number, position: number): number {
    this.systemCall()
    const { bytes, length: end } = this.wal as WalFile
    const from = Math.min(position, end)
    const to = Math.min(position + length, end)
    // A second application may write while the bytes are copied.
    const middle = from + (to - from > PAGE_BYTES ? this.world.random.below(to - from) : 0)
    into.set(bytes.subarray(from, middle))
    if (middle > from) this.world.preempt()
    into.set(bytes.subarray(middle, Math.min(to, Math.max(middle, this.wal?.length ?? 0))), middle - from)
    return Math.max(middle, Math.min(to, this.wal?.length ?? 0)) - from
  }

  /** Page by page, at its own pace. */
  async readDatabase(into: Uint8Array, length: number, position: number): Promise<number> {
    const { scheduler, random } = this.world
    const paceMs = random.pick([0, 0, 2, 10, 40])
    let done = 0
    while (done < length) {
      if (paceMs > 0 || done === 0) {
        const waitMs = random.next() * paceMs
        await new Promise<void>((resolve) => void scheduler.after(waitMs, this.observer.process, resolve))
      } else this.world.preempt()
      if (this.closed) throw new LitestreamError('SOURCE', `${this.path} was let go while it was read`)
      const page = this.file.pages[Math.floor((position + done) / PAGE_BYTES)]
      if (!page) break
      into.set(page, done)
      done += PAGE_BYTES
    }
    return done
  }

  closeLive(): void {
    this.wal = undefined
    this.shm = undefined
  }

  async close(): Promise<void> {
    this.closed = true
    this.closeLive()
  }
}

/** Two connections, as the real ones. */
class ModelPins implements HeldPins {
  lastRefusal = ''
  private readonly connections: Connection[] = []
  private current = 0
  private held = false

  constructor(private readonly observer: Observer) {}

  get pinned(): boolean {
    return this.held
  }

  pin(): boolean {
    if (!this.held) this.held = this.begin(this.current)
    return this.held
  }

  leapfrog(): boolean {
    if (!this.held) return this.pin()
    const next = 1 - this.current
    if (!this.begin(next)) return false
    this.end(this.current)
    this.current = next
    return true
  }

  release(): void {
    if (!this.held) return
    this.held = false
    this.end(this.current)
  }

  close(): void {
    this.held = false
    for (const connection of this.connections.splice(0)) {
      this.observer.world.sqlite.drop(connection)
      this.observer.connections.delete(connection)
    }
    this.current = 0
  }

  private end(at: number): void {
    const connection = this.connections[at]
    if (connection) this.observer.world.sqlite.endRead(connection)
  }

  private begin(at: number): boolean {
    const { world, connections } = this.observer
    world.scheduler.spend(SYSTEM_CALL_MS)
    world.preempt()
    while (this.connections.length <= at) {
      const connection = world.sqlite.open(this.observer.process.name, !world.shmWritable, false)
      if (connection === 'SQLITE_BUSY') {
        this.lastRefusal = connection
        return false
      }
      if (connection === 'SQLITE_CANTOPEN')
        throw new LitestreamError('SOURCE', `cannot read ${DATABASE_PATH}: ${connection}`)
      this.connections.push(connection)
      connections.add(connection)
    }
    const answer = world.sqlite.beginRead(this.connections[at] as Connection)
    if (answer !== true) this.lastRefusal = answer
    world.preempt()
    return answer === true
  }
}
