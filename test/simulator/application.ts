// The application whose database is replicated: commits, checkpoints, readers, closing, dying, replacing the file. Its threads are
// generators that are moved on by the scheduler and, in the midst of the observer's system calls, by chance.

import type { Random } from '../crash/random.js'
import type { Disk } from './disk.js'
import type { Ledger } from './ledger.js'
import type { Scheduler } from './scheduler.js'
import type { CheckpointMode, Connection, Operation, Sqlite, Step, Transaction } from './sqlite.js'

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
  /** May die with the two copies of the wal-index header unequal. */
  readonly diesTorn: boolean
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
    diesTorn: false,
  }
}

type Thread = { readonly name: string; readonly work: Operation<unknown>; last: Step }

export class Application {
  private writer: Connection | undefined
  private checkpointer: Connection | undefined
  private reader: Connection | undefined
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
    return this.writer !== undefined
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

  private run(name: string, work: Operation<unknown>): void {
    if (this.threads.some((thread) => thread.name === name)) return
    this.threads.push({ name, work, last: 'step' })
  }

  private begin(): void {
    const { random, habits, writer } = this
    if (!writer) {
      if (random.chance(habits.replaceChance * 5)) this.replace()
      else if (random.chance(0.5)) this.start()
      return
    }
    const mayDie = habits.diesTorn || !this.threads.some(({ last }) => last === 'torn')
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
    this.run('write', this.writing(writer))
  }

  private checkpoint(): void {
    const { random, habits } = this
    this.checkpointer ??= this.sqlite.open('checkpointer', false, true)
    if (!this.checkpointer) return
    const mode = random.pick(habits.checkpointModes)
    this.run('checkpoint', this.sqlite.checkpoint(this.checkpointer, mode, habits.busyMs))
  }

  start(): void {
    this.writer = this.sqlite.open('writer', false, true)
    if (!this.writer) return
    this.scheduler.note('app: opens the database')
    this.sqlite.beginRead(this.writer)
    this.sqlite.endRead(this.writer)
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
    return { pages, pageCount, rollback, padding: habits.padding, sync: habits.sync }
  }

  private read(): void {
    if (!this.reader) {
      this.reader = this.sqlite.open('reader', false, true)
      if (this.reader) this.sqlite.beginRead(this.reader)
    } else {
      this.sqlite.endRead(this.reader)
      this.sqlite.drop(this.reader)
      this.reader = undefined
    }
  }

  private *closing(andReplace = false): Operation {
    // Whatever else it does comes to its end first.
    while (this.threads.length > 1) yield 'wait'
    for (const connection of [this.reader, this.checkpointer, this.writer]) {
      if (connection) yield* this.sqlite.close(connection)
    }
    this.reader = undefined
    this.checkpointer = undefined
    this.writer = undefined
    this.scheduler.note('app: has closed the database')
    if (andReplace && !this.disk.wal) this.replace()
  }

  /** Another database is moved to the place of this one. */
  private replace(): void {
    // With a WAL beside it, it would be a corrupted database.
    if (this.disk.wal || this.disk.shm) return
    this.ledger.placed(this.disk, 1 + this.random.below(this.habits.pagesMax))
  }

  private vanish(): void {
    for (const connection of [this.reader, this.checkpointer, this.writer]) {
      if (connection) this.sqlite.drop(connection)
    }
    this.reader = undefined
    this.checkpointer = undefined
    this.writer = undefined
    this.threads = []
  }

  private die(): void {
    this.scheduler.note(`app: dies at ${this.threads.map(({ name }) => name).join(', ') || 'nothing'}`)
    this.vanish()
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
