// One simulated run: an application, its database, one or two real daemons, a store; everything drawn from the seed. First the bad
// time, in which anything may happen and every effect is checked; then the weather clears and all has to come right.

import { decodeFrame, encodeFrame } from '../../src/codec/frame.js'
import { loadXxh64 } from '../../src/codec/xxhash.js'
import type { Random } from '../crash/random.js'
import { Application } from './application.js'
import { Checks } from './checks.js'
import { type Changes, type Circumstances, drawCircumstances } from './circumstances.js'
import { RETENTION_CHECK_INTERVAL_MS, SimulatedDaemon } from './daemons.js'
import { Disk } from './disk.js'
import { differenceFrom, Ledger } from './ledger.js'
import { Observer } from './observer.js'
import { checkRestores, checkViews, type View } from './restores.js'
import { type Process, Scheduler, Violation } from './scheduler.js'
import { Sqlite } from './sqlite.js'
import { FAIR, SimulatedClient, Store, type Weather } from './store.js'

export interface Result {
  readonly seed: number
  readonly violation: string | undefined
  readonly trace: readonly string[]
  readonly traceHash: number
  readonly commits: number
  readonly objects: number
}

/** How long everything may take to come right after the weather has cleared: more than the longest pause between two tries. */
const CATCH_UP_MS = 240_000
/**
 * A machine boots for longer than a request of before can still be under way: readings of two boots cannot be compared, and one that
 * arrived behind its successor's first snapshot would make the older generation look like the newest, until the next upload.
 */
const BOOT_MS = 800
/** Whoever starts and stops daemons. */
const OPERATOR: Process = { name: 'operator', alive: true }
const IDLE_MS = 15_000
const VIEWS_MAX = 4

/** Libraries that are loaded at their first use would make the first run another one than all that follow. */
async function warmUp(): Promise<void> {
  const frame: Buffer[] = []
  const content = async function* () {
    yield Buffer.alloc(5000, 'a')
  }
  for await (const piece of encodeFrame(content())) frame.push(Buffer.from(piece))
  const stored = async function* () {
    yield Buffer.concat(frame)
  }
  for await (const _piece of decodeFrame(stored(), { name: 'warm-up' }));
  await loadXxh64()
}
let warm: Promise<void> | undefined

export async function simulate(seed: number, changes: Changes = {}): Promise<Result> {
  warm ??= warmUp()
  await warm
  const world = new World(seed, changes)
  let violation: string | undefined
  try {
    await world.badTime()
    await world.goodTime()
  } catch (error) {
    violation = error instanceof Violation ? error.message : `the simulator threw: ${(error as Error).stack}`
  }
  world.end()
  await new Promise((resolve) => setImmediate(resolve)) // others have a life too
  const { scheduler, ledger, store } = world
  const { trace, traceHash } = scheduler
  return { seed, violation, trace, traceHash, commits: ledger.current.id, objects: store.objects.size }
}

class World {
  readonly scheduler: Scheduler
  readonly ledger: Ledger
  readonly store: Store
  private readonly disk: Disk
  private readonly sqlite: Sqlite
  private readonly app: Application
  private readonly checks: Checks
  private readonly random: Random
  private readonly circumstances: Circumstances
  private readonly daemons: SimulatedDaemon[]
  private readonly views: View[] = []
  private acts: number
  private pace = 0
  private calm = false

  constructor(
    seed: number,
    private readonly changes: Changes,
  ) {
    const scheduler = new Scheduler(seed)
    this.scheduler = scheduler
    this.random = scheduler.random(1)
    const circumstances = drawCircumstances(this.random, changes)
    this.circumstances = circumstances
    scheduler.note(JSON.stringify(circumstances))
    this.disk = new Disk(scheduler, this.random.pick([1, 4, 10]))
    this.ledger = new Ledger(scheduler)
    this.sqlite = new Sqlite(this.disk, this.ledger, scheduler, scheduler.random(2))
    this.app = new Application(
      scheduler,
      this.disk,
      this.sqlite,
      this.ledger,
      circumstances.habits,
      scheduler.random(3),
    )
    this.store = new Store(scheduler, scheduler.random(4), circumstances.store)
    this.checks = new Checks(scheduler, this.ledger, this.store, circumstances)
    this.acts = circumstances.acts
    this.daemons = Array.from({ length: circumstances.daemons }, (_, i) => this.newDaemon(`daemon-${i + 1}`))
    this.disk.onChange = () => {
      for (const { observer } of this.daemons) observer?.changed()
    }
    this.app.onPowerLoss = () => {
      scheduler.boots++
      for (const daemon of this.daemons) this.crash(daemon, BOOT_MS)
    }
  }

  private newDaemon(name: string): SimulatedDaemon {
    const { scheduler, disk, sqlite, circumstances, changes, store } = this
    const preemption = scheduler.random(5)
    const preempt = () => {
      if (!this.calm && preemption.chance(circumstances.preemptChance)) this.app.interfere()
    }
    const { shmWritable } = circumstances
    const random = scheduler.random(6)
    const observed = { scheduler, disk, sqlite, random, shmWritable, preempt }
    const start = (process: Process) => {
      const observer = new Observer(observed, process)
      const client = new SimulatedClient(store, process)
      return { observer, client: changes.client?.(client) ?? client, source: changes.source?.(observer) ?? observer }
    }
    return new SimulatedDaemon(name, scheduler, circumstances, start)
  }

  async badTime(): Promise<void> {
    const { random, scheduler, circumstances } = this
    if (random.chance(0.9)) this.ledger.placed(this.disk, 1 + random.below(circumstances.habits.pagesMax))
    else scheduler.after(random.below(3000), undefined, () => this.placeFirst())
    if (random.chance(0.8)) this.app.start()
    for (const daemon of this.daemons) scheduler.after(random.below(500), OPERATOR, () => daemon.start())
    this.actAgain()
    if (circumstances.stormy) this.changeWeather()
    if (circumstances.crashEveryMs > 0) for (const daemon of this.daemons) this.endSometime(daemon)
    if (circumstances.clockJumps) this.jumpSometime()
    if (circumstances.store.listingLagMs > 0) this.listSometime(scheduler.random(8))
    await scheduler.run(600_000, () => this.afterEvent() && this.acts <= 0)
  }

  private placeFirst(): void {
    if (!this.disk.database) this.ledger.placed(this.disk, 2)
  }

  private actAgain(): void {
    const { random, scheduler } = this
    if (random.chance(0.1)) this.pace = random.below(4)
    const waitMs = random.next() * ([3, 30, 200, 1500][this.pace] as number)
    scheduler.after(waitMs, undefined, () => {
      if (this.calm) return
      this.acts--
      if (this.disk.database) this.app.act()
      this.actAgain()
    })
  }

  private changeWeather(): void {
    const { random, scheduler, store } = this
    if (this.calm) return
    const bad = { ...FAIR, latencyMs: 50, lateMs: 300 }
    const kinds: readonly Weather[] = [
      FAIR,
      { ...FAIR, latencyMs: 300 },
      { ...bad, failBefore: 0.2, failAfter: 0.2, truncate: 0.2 },
      { ...bad, failBefore: 0.1, failAfter: 0.1, failLate: 0.2 },
      { ...bad, failBefore: 1 },
    ]
    store.weather = random.pick(kinds)
    scheduler.after(random.below(5000), undefined, () => this.changeWeather())
  }

  private endSometime(daemon: SimulatedDaemon): void {
    const { random, scheduler, circumstances } = this
    scheduler.after(random.next() * 2 * circumstances.crashEveryMs, OPERATOR, () => {
      if (this.calm) return
      if (random.chance(0.7)) this.crash(daemon)
      else daemon.stop(random.pick([200, 5000]))
      scheduler.after(random.below(circumstances.downMsMax), OPERATOR, () => daemon.start())
      this.endSometime(daemon)
    })
  }

  private jumpSometime(): void {
    const { random, scheduler } = this
    scheduler.after(random.below(10_000), undefined, () => {
      if (this.calm) return
      const jumpMs = (random.below(2001) - 1000) * random.pick([1, 60, 3600])
      scheduler.wallOffsetMs += jumpMs
      scheduler.note(`machine: the clock is set by ${jumpMs} ms`)
      this.jumpSometime()
    })
  }

  /** Somebody lists, to restore from what he saw. */
  private listSometime(random: Random): void {
    const { scheduler, store, views } = this
    scheduler.after(random.below(8000), undefined, () => {
      if (this.calm || views.length >= VIEWS_MAX) return
      views.push({ listed: store.list('generations/'), objects: new Map(store.objects) })
      this.listSometime(random)
    })
  }

  private crash(daemon: SimulatedDaemon, downMs = 0): void {
    daemon.crash(downMs)
    const { scheduler, random, circumstances } = this
    scheduler.after(downMs + random.below(circumstances.downMsMax), OPERATOR, () => daemon.start())
  }

  private afterEvent(): true {
    for (const daemon of this.daemons) {
      const place = daemon.movedTo()
      if (place) this.checks.checkPlace(place, daemon.process)
    }
    return true
  }

  async goodTime(): Promise<void> {
    const { scheduler, store, daemons } = this
    scheduler.note('the weather clears')
    this.calm = true
    store.weather = FAIR
    this.placeFirst()
    for (const daemon of daemons) scheduler.after(0, OPERATOR, () => daemon.start())
    const resting = this.app.rest()
    const rest = () => {
      if (!resting.next().done) scheduler.after(1, undefined, rest)
    }
    rest()
    const caughtUp = () => {
      this.afterEvent()
      // One that was still stopping when it should have started.
      for (const daemon of daemons) daemon.start()
      // What nobody recovers nobody may read.
      if (!this.app.open && !this.app.busy && daemons.some((daemon) => daemon.waitsForApplication)) this.app.start()
      if (this.app.busy || !daemons.every((daemon) => daemon.alive && daemon.inSync)) return false
      return this.newestIsCurrent()
    }
    if (!(await scheduler.run(CATCH_UP_MS, caughtUp))) {
      const how = daemons.map((daemon) => daemon.describe()).join('; ')
      scheduler.fail(`not caught up with state ${this.ledger.current.id} after ${CATCH_UP_MS} ms: ${how}`)
    }
    // One more validation of the newest state, one more snapshot; then there is nothing left to do.
    const { validationIntervalMs, snapshotIntervalMs, retentionMs } = this.circumstances
    const expiryMs = snapshotIntervalMs + retentionMs + RETENTION_CHECK_INTERVAL_MS
    const lastMs = 2000 + 2 * Math.max(validationIntervalMs, expiryMs)
    await scheduler.run(lastMs, () => this.afterEvent() && false)
    const { requests } = store
    await scheduler.run(IDLE_MS, () => this.afterEvent() && false)
    // What a retention has to delete becomes due by time alone.
    if (retentionMs === 0 && store.requests !== requests)
      scheduler.fail(`an idle database cost ${store.requests - requests} requests`)
    if (!this.newestIsCurrent()) scheduler.fail('the newest restorable state changed while nothing happened')
    for (const daemon of daemons) daemon.stop(5000)
    if (!(await scheduler.run(20_000, () => daemons.every(({ alive }) => !alive))))
      scheduler.fail('a daemon does not stop')
    for (const { process, failure } of daemons) {
      if (failure !== undefined) scheduler.fail(`stopping an idle ${process.name} failed: ${failure}`)
    }
    await checkViews(this.views, this.ledger, scheduler)
    await checkRestores(store, this.checks, this.ledger, scheduler)
    if (scheduler.violation) throw scheduler.violation
  }

  private newestIsCurrent(): boolean {
    const point = this.checks.newest()
    return point !== undefined && differenceFrom(this.ledger.current, point.state.pages) === undefined
  }

  end(): void {
    for (const daemon of this.daemons) daemon.crash()
  }
}
