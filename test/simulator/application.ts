// The application whose database is replicated: commits, checkpoints, readers, closing, dying, replacing the file. Its threads are
// generators that are moved on by the scheduler and, in the midst of the observer's system calls, by chance.

import type { Random } from '../crash/random.js'
import type { Connection, Operation, Step } from './connections.js'
import type { Disk } from './disk.js'
import type { Ledger } from './ledger.js'
import type { Scheduler } from './scheduler.js'
import type { CheckpointMode, Sqlite, Transaction } from './sqlite.js'

/** How an application is; drawn from the seed. */
export interface Habits {
  /** Frames; 0 leaves the WAL to grow until somebody checkpoints. */
  readonly autoCheckpointFrames: number
  readonly checkpointModes: readonly CheckpointMode[]
  readonly checkpointChance: number
  readonly readerChance: number
  readonly rollbackChance: number
  readonly closeChance: number
  readonly dieChance: number
  readonly replaceChance: number
  readonly powerLossChance: number
  readonly padding: number
  readonly sync: boolean
  readonly pagesMax: number
  readonly busyMs: number
  /** Its connections belong to processes of their own, of which one can die alone. */
  readonly processes: boolean
  /** May die with the two copies of the wal-index header unequal. */
  readonly diesTorn: boolean
  /** journal_size_limit; 0 for none. */
  readonly walBytesMax: number
}

export function drawHabits(random: Random): Habits {
  const often = (chance: number, value: number) => (random.chance(chance) ? value : 0)
  return {
    autoCheckpointFrames: random.pick([0, 4, 12, 40]),
    checkpointModes: random.pick([
      ['PASSIVE'],
      ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'],
      ['TRUNCATE'],
      ['RESTART', 'TRUNCATE'],
    ] as const),
    checkpointChance: random.pick([0, 0.05, 0.2]),
    readerChance: often(0.4, 0.06),
    rollbackChance: often(0.4, 0.1),
    closeChance: often(0.4, 0.04),
    dieChance: often(0.5, 0.05),
    replaceChance: often(0.15, 0.03),
    powerLossChance: often(0.15, 0.03),
    padding: random.chance(0.15) ? random.pick([1, 3]) : 0,
    sync: random.chance(0.4),
    pagesMax: random.pick([3, 8, 20]),
    busyMs: random.pick([0, 50, 500, 5000]),
    processes: random.chance(0.3),
    diesTorn: random.chance(0.3),
    walBytesMax: random.chance(0.2) ? random.pick([1, 3000]) : 0,
  }
}

/** In the order in which they are closed. */
const ROLES = ['reader', 'checkpointer', 'writer'] as const
type Role = (typeof ROLES)[number]

interface Thread {
  readonly name: string
  readonly work: Operation<unknown>
  /** Undefined while it closes one after the other. */
  readonly connection: Connection | undefined
  last: Step
}

export class Application {
  /** Whatever is being closed is not here any more: nothing can be begun on it. */
  private readonly usable = new Map<Role, Connection>()
  /** What is open in fact. */
  private readonly held = new Set<Connection>()
  private threads: Thread[] = []
  private acting = false
  /** Within a system call of a daemon, which then cannot die in the middle of it. */
  private interfering = false
  /** A power cut takes the daemons too. */
  onPowerLoss: () => void = () => {}

  constructor(
    private readonly scheduler: Scheduler,
    private readonly disk: Disk,
    private readonly sqlite: Sqlite,
    private readonly ledger: Ledger,
    private readonly habits: Habits,
    private readonly random: Random,
  ) {}

  get busy(): boolean {
    return this.threads.length > 0
  }

  get open(): boolean {
    return this.usable.has('writer')
  }

  /** Goes on with what it is at, or begins something. */
  act(): void {
    if (this.acting) return
    this.acting = true
    if (this.threads.length < 2 && (this.threads.length === 0 || this.random.chance(0.3))) this.begin()
    const toTheEnd = this.random.chance(0.7)
    const steps = toTheEnd ? 400 : 1 + this.random.below(6)
    for (let i = 0; i < steps && this.threads.length > 0; i++) {
      const thread = this.random.pick(this.threads)
      this.step(thread)
      if (thread.last === 'wait' && this.threads.length === 1) break
    }
    this.acting = false
  }

  /** In the midst of a system call of somebody else. */
  interfere(): void {
    if (this.acting) return
    this.acting = true
    this.interfering = true
    if (this.threads.length === 0 && this.open) this.begin()
    for (let i = this.random.below(30); i > 0 && this.threads.length > 0; i--) this.step(this.random.pick(this.threads))
    this.interfering = false
    this.acting = false
  }

  private step(thread: Thread): void {
    const result = thread.work.next()
    if (result.done) this.threads = this.threads.filter((other) => other !== thread)
    else thread.last = result.value
  }

  private run(name: string, work: Operation<unknown>, connection?: Connection): void {
    if (this.threads.some((thread) => thread.name === name)) return
    this.threads.push({ name, work, connection, last: 'step' })
  }

  /** A connection of this role; undefined when SQLite does not give one now. */
  private connect(role: Role): Connection | undefined {
    const there = this.usable.get(role)
    if (there) return there
    const connection = this.sqlite.open(role, false, true)
    if (typeof connection === 'string') return undefined
    this.usable.set(role, connection)
    this.held.add(connection)
    return connection
  }

  private begin(): void {
    const { random, habits } = this
    const writer = this.usable.get('writer')
    if (!writer) {
      if (random.chance(habits.replaceChance * 5)) this.replace()
      else if (random.chance(0.5)) this.start()
      return
    }
    const mayDie = !this.threads.some(({ last }) => last === 'fragile' || (last === 'torn' && !habits.diesTorn))
    const deeds: readonly (readonly [number, () => void])[] = [
      [habits.dieChance, () => mayDie && this.die()],
      [habits.powerLossChance, () => mayDie && !this.interfering && this.losePower()],
      [habits.closeChance, () => this.run('close', this.closing())],
      [habits.replaceChance, () => this.run('close', this.closing(true))],
      [habits.readerChance, () => this.read()],
      [habits.checkpointChance, () => this.checkpoint()],
    ]
    let dice = random.next()
    for (const [chance, deed] of deeds) {
      if (dice < chance) {
        deed()
        return
      }
      dice -= chance
    }
    this.run('write', this.writing(writer), writer)
  }

  private checkpoint(): void {
    const { random, habits } = this
    const checkpointer = this.connect('checkpointer')
    if (!checkpointer) return
    const mode = random.pick(habits.checkpointModes)
    this.run('checkpoint', this.sqlite.checkpoint(checkpointer, mode, habits.busyMs), checkpointer)
  }

  start(): void {
    const writer = this.connect('writer')
    if (!writer) return
    this.scheduler.note('app: opens the database')
    this.sqlite.beginRead(writer)
    this.sqlite.endRead(writer)
  }

  private *writing(writer: Connection): Operation {
    const { habits, random, sqlite } = this
    yield* sqlite.transact(writer, this.draw(), habits.busyMs)
    const { header } = writer.shm
    if (habits.autoCheckpointFrames === 0 || !header || header.mxFrame < habits.autoCheckpointFrames) return
    if (random.chance(0.3)) yield 'step'
    yield* sqlite.checkpoint(writer, 'PASSIVE', 0)
  }

  private draw(): Transaction {
    const { habits, random, ledger } = this
    const before = ledger.current.pages.length
    let pageCount = before
    if (random.chance(0.3)) pageCount = Math.min(habits.pagesMax, before + random.below(4))
    const vacuum = random.chance(0.06)
    if (vacuum) pageCount = 1 + random.below(before)
    const pages: number[] = []
    if (vacuum) for (let page = 1; page <= pageCount; page++) pages.push(page)
    else {
      for (let page = before + 1; page <= pageCount; page++) pages.push(page)
      for (let i = 1 + random.below(3); i > 0; i--) pages.push(1 + random.below(pageCount))
      if (random.chance(0.3)) pages.push(1)
    }
    const rollback = random.chance(habits.rollbackChance)
    const { padding, sync, walBytesMax } = habits
    return { pages, pageCount, rollback, padding, sync, walBytesMax }
  }

  private read(): void {
    const reader = this.usable.get('reader')
    if (reader) this.drop(reader)
    else {
      const opened = this.connect('reader')
      if (opened) this.sqlite.beginRead(opened)
    }
  }

  private *closing(andReplace = false): Operation {
    for (const role of ROLES) {
      const connection = this.usable.get(role)
      if (!connection) continue
      this.usable.delete(role)
      while (this.threads.some((thread) => thread.connection === connection)) yield 'wait'
      yield* this.sqlite.close(connection)
      this.held.delete(connection)
    }
    this.scheduler.note('app: has closed the database')
    if (andReplace && !this.disk.wal) this.replace()
  }

  /** Another database is moved to the place of this one. */
  private replace(): void {
    // With a WAL beside it, it would be a corrupted database.
    if (this.disk.wal || this.disk.shm) return
    this.ledger.placed(this.disk, 1 + this.random.below(this.habits.pagesMax))
  }

  /** Its locks go, and whatever was being done on it stays as it is. */
  private drop(connection: Connection): void {
    this.sqlite.drop(connection)
    this.held.delete(connection)
    for (const [role, one] of this.usable) if (one === connection) this.usable.delete(role)
    this.threads = this.threads.filter((thread) => thread.connection !== connection)
  }

  private vanish(): void {
    for (const connection of [...this.held]) this.drop(connection)
    this.threads = []
  }

  private die(): void {
    const alone = this.habits.processes && this.random.chance(0.7) ? this.usable.get('writer') : undefined
    const doing = this.threads.filter(({ connection }) => !alone || connection === alone).map(({ name }) => name)
    this.scheduler.note(`app: ${alone ? 'its writer ' : ''}dies at ${doing.join(', ') || 'nothing'}`)
    if (alone) this.drop(alone)
    else this.vanish()
  }

  /** What was not synced may be gone, from its end. */
  private losePower(): void {
    const { wal } = this.disk
    this.scheduler.note('machine: power is lost')
    this.vanish()
    this.onPowerLoss()
    if (wal && wal.length > wal.syncedLength) {
      wal.truncate(wal.syncedLength + this.random.below(wal.length - wal.syncedLength + 1))
    }
  }

  /** For the end of a run: the database is left either open or closed, and in order. */
  *rest(): Generator<void> {
    while (this.busy) {
      this.step(this.random.pick(this.threads))
      yield
    }
    if (!this.open) this.start()
    if (this.random.chance(0.5)) return
    this.run('close', this.closing())
    while (this.busy) {
      this.step(this.random.pick(this.threads))
      yield
    }
  }
}
