// One world: an application that writes, a replica, and a daemon that is killed again and again. After every kill the replica must
// give back exactly a committed state, never one older than it gave before; after catching up, exactly the last one.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../support/until.js'
import { ApplicationProcess } from './application-process.js'
import { Daemon, occurrences, type Stage } from './daemon.js'
import { differenceOf, EMPTY, Model, readState } from './model.js'
import { Random } from './random.js'
import { ReplicaPlace } from './replica-place.js'
import type { Workload } from './workload.js'

/** What the kill waits for; then it comes a random while later. */
export const MOMENTS = [
  'start',
  'establish',
  'snapshot',
  'overlay',
  'steady',
  'rotation',
  'interval',
  'shutdown',
] as const
export type Moment = (typeof MOMENTS)[number]

export interface WorldOptions {
  readonly seed: number
  readonly kind: 'file' | 's3'
  readonly directory: string
  /** The application's compiled script. */
  readonly script: string
  /** One kill for each. */
  readonly moments: readonly Moment[]
}

export interface WorldReport {
  /** Kills by the stage that they hit. */
  readonly stages: Partial<Record<Stage, number>>
  /** New generations by the reason that the daemon gave. */
  readonly reasons: Record<string, number>
  kills: number
  catchUps: number
  /** Times that the real 0.3.13 restored. */
  byReal: number
  /** Restores that rightly found nothing. */
  nothingYet: number
  /** Times that the real 0.3.13 stumbled over a generation that had no snapshot yet. */
  realStumbled: number
  newGenerations: number
  continued: number
  state: number
}

export class World {
  readonly report: WorldReport = {
    stages: {},
    reasons: {},
    kills: 0,
    catchUps: 0,
    byReal: 0,
    nothingYet: 0,
    realStumbled: 0,
    newGenerations: 0,
    continued: 0,
    state: EMPTY,
  }
  /** What happened, for the report of a failure. */
  readonly story: string[] = []
  private readonly random: Random
  private readonly model: Model
  private readonly application: ApplicationProcess
  private restores = 0

  private constructor(
    private readonly options: WorldOptions,
    private readonly place: ReplicaPlace,
  ) {
    const random = new Random(options.seed)
    this.random = random
    const workload: Workload = {
      seed: options.seed,
      pageSize: random.pick([512, 1024, 4096, 4096, 4096, 16384]),
      autoVacuum: random.pick([0, 0, 1, 2]),
      ballastBytes: random.pick([0, 1 << 20, 8 << 20, 16 << 20]),
    }
    this.model = new Model(workload)
    const applicationOptions = {
      path: join(options.directory, 'source', 'app.db'),
      workload,
      autoCheckpoint: random.pick([10, 50, 200, 1000, 1000]),
      synchronous: random.pick(['FULL', 'NORMAL'] as const),
      paceMs: random.pick([3, 8, 20, 80]),
      vacuum: workload.ballastBytes > 2 << 20 ? 0.0005 : 0.005,
      paused: false,
    }
    this.story.push(JSON.stringify({ ...applicationOptions, kind: options.kind }))
    this.application = new ApplicationProcess(options.script, applicationOptions)
  }

  static async run(options: WorldOptions): Promise<WorldReport> {
    for (const name of ['source', 'out', 'tmp']) mkdirSync(join(options.directory, name), { recursive: true })
    const place = await ReplicaPlace.make(options.kind, options.directory, join(options.directory, 'source', 'app.db'))
    const world = new World(options, place)
    try {
      await world.live()
    } catch (error) {
      const story = world.story.slice(-12).join('\n')
      throw new Error(
        `world with seed ${options.seed} in ${options.directory}: ${(error as Error).message}\n${story}`,
        {
          cause: error,
        },
      )
    } finally {
      await world.application.kill()
    }
    return world.report
  }

  private async live(): Promise<void> {
    if (this.random.chance(0.7)) await this.application.start()
    for (const [round, moment] of this.options.moments.entries()) {
      // A daemon that ended before its kill came (a quick shutdown) does not count.
      for (let attempt = 0; !(await this.killOnce(moment)); attempt++) {
        if (attempt === 20) throw new Error(`no kill came in time at "${moment}"`)
      }
      if (round % 3 === 2) await this.catchUp()
    }
    await this.catchUp()
    this.report.state = this.model.n
  }

  private async startDaemon(snapshotIntervalMs: number, syncIntervalMs: number): Promise<Daemon> {
    const monitorIntervalMs = this.random.pick([10, 50, 200])
    const config = this.place.configure({ monitorIntervalMs, syncIntervalMs, snapshotIntervalMs })
    return await Daemon.start(config, join(this.options.directory, 'tmp'))
  }

  /** True when the daemon was killed, false when it had ended before. */
  private async killOnce(moment: Moment): Promise<boolean> {
    const { random, application } = this
    await this.disturbBefore()
    const syncIntervalMs = moment === 'rotation' ? 1 : random.pick([1, 20, 60, 200])
    const daemon = await this.startDaemon(moment === 'interval' || random.chance(0.2) ? 60 : 0, syncIntervalMs)
    const disturbance = this.disturbDuring(daemon)
    await this.untilMoment(daemon, moment)
    daemon.kill('SIGKILL')
    const { signal, code } = await daemon.ended
    await disturbance
    this.note(daemon)
    const stage = daemon.stage()
    const killed = signal === 'SIGKILL'
    this.story.push(`${moment}: ${killed ? `killed while ${stage}` : `ended with ${code}`}\n${tail(daemon.output)}`)
    // Asked to stop before it stood anywhere, it may say that it could not ship anything.
    const tooEarly = !established(daemon.output) && daemon.output.includes('lacks the newest changes')
    if (!killed && code !== 0 && !tooEarly) throw new Error(`the daemon ended by itself with ${signal ?? code}`)
    if (killed) {
      this.report.kills++
      this.report.stages[stage] = (this.report.stages[stage] ?? 0) + 1
    }
    if (application.failure) throw new Error(application.failure)
    await this.check()
    return killed
  }

  private async untilMoment(daemon: Daemon, moment: Moment): Promise<void> {
    const { random } = this
    // Longer than any of these takes: a database that its application leaves alone is not waited for.
    const limitMs = 4000
    const has = (text: string) => (output: string) => output.includes(text)
    const shipped = (count: number) => (output: string) => occurrences(output, 'wal segment written') >= count
    switch (moment) {
      case 'start':
        await pause(random.below(500))
        break
      case 'establish':
        await daemon.reached(has('replicating to'), limitMs)
        await pause(random.below(60))
        break
      case 'snapshot':
        await daemon.reached(has('write snapshot'), 1500)
        await pause(random.below(40))
        break
      case 'overlay':
        await daemon.reached(
          (output) => output.indexOf('wal segment written', output.indexOf('write snapshot')) > 0,
          1500,
        )
        await pause(random.below(6))
        break
      case 'steady':
        await daemon.reached(shipped(1), limitMs)
        await pause(random.below(700))
        break
      case 'rotation':
        // An index takes 256 segments.
        await daemon.reached(shipped(245), 3 * limitMs)
        await daemon.reached(shipped(254 + random.below(6)), limitMs)
        break
      case 'interval': {
        await daemon.reached(established, limitMs)
        const before = occurrences(daemon.output, 'write snapshot')
        const wanted = before + 1 + random.below(2)
        await daemon.reached((output) => occurrences(output, 'write snapshot') >= wanted, limitMs)
        const last = daemon.output.lastIndexOf('write snapshot')
        if (random.chance(0.6)) {
          await daemon.reached((output) => output.indexOf('wal segment written', last) > 0, 500)
          await pause(random.below(4))
        } else await pause(random.below(50))
        break
      }
      case 'shutdown':
        await daemon.reached(shipped(1), limitMs)
        daemon.kill('SIGTERM')
        if (random.chance(0.7)) await daemon.reached(has('signal received'), limitMs)
        await pause(random.below(15))
    }
  }

  /** What the application goes through between two lives of the daemon. */
  private async disturbBefore(): Promise<void> {
    const { random, application } = this
    const kind = random.below(10)
    if (kind < 2) await application.kill()
    else if (kind < 3) await application.close()
    if (!application.running && !random.chance(0.15)) await application.start()
    if (application.failure) throw new Error(application.failure)
  }

  /** And while the daemon runs: dies or closes, and comes back. */
  private async disturbDuring(daemon: Daemon): Promise<void> {
    const { random, application } = this
    const restarts = random.chance(0.35) ? 1 + random.below(3) : 0
    if (!application.running) {
      await pause(random.below(900))
      await application.start()
    }
    for (let i = 0; i < restarts && !daemon.hasEnded; i++) {
      await pause(100 + random.below(500))
      if (random.chance(0.7)) await application.kill()
      else await application.close()
      if (random.chance(0.5)) await pause(random.below(100))
      await application.start()
    }
  }

  /** The daemon runs again and brings the replica up to date; then the replica has exactly the last committed state. */
  private async catchUp(): Promise<void> {
    const { random, application } = this
    this.report.catchUps++
    if (!application.running) await application.start()
    const daemon = await this.startDaemon(0, 20)
    try {
      const way = random.pick(['stop', 'stop while writing', 'close and stop', 'wait'])
      const established = await daemon.reached(
        (output) => /continuing generation|snapshot written/.test(output),
        20_000,
      )
      if (!established) throw new Error('the daemon did not establish itself')
      await pause(random.below(300))
      let least: number
      if (way === 'stop while writing') least = application.acknowledged
      else {
        least = await application.pause()
        if (way === 'close and stop') await application.close()
      }
      if (way === 'wait') {
        await until(async () => (await this.restoredState()) === least, {
          what: `state ${least} in the replica`,
          intervalMs: 50,
        })
        daemon.kill('SIGKILL')
      } else daemon.kill('SIGTERM')
      const { code, signal } = await daemon.ended
      this.story.push(
        `${way}: ended with ${signal ?? code}, the last state is at least ${least}\n${tail(daemon.output)}`,
      )
      if (way !== 'wait' && code !== 0) throw new Error(`the daemon did not end well: ${signal ?? code}`)
      const state = await this.check()
      if (state === undefined || state < least || (way !== 'stop while writing' && state !== least)) {
        throw new Error(`after catching up (${way}) the replica gives state ${state} instead of ${least}`)
      }
    } finally {
      daemon.kill('SIGKILL')
      await daemon.ended
      this.note(daemon)
    }
    if (application.running) application.go()
  }

  private note(daemon: Daemon): void {
    for (const [, reason = ''] of daemon.output.matchAll(/"sync: new generation".* reason="([^"]*)"/g)) {
      this.report.newGenerations++
      this.report.reasons[reason] = (this.report.reasons[reason] ?? 0) + 1
    }
    this.report.continued += occurrences(daemon.output, 'continuing generation')
  }

  /** Restores and compares; the number of the state, or undefined when there is rightly nothing to restore. */
  private async check(): Promise<number | undefined> {
    const state = await this.restoredState()
    const turn = this.restores++
    if (state === undefined) {
      await this.checkNothing()
      return undefined
    }
    const output = join(this.options.directory, 'out', 'other.db')
    if (turn % 5 === 1) {
      const { code, stderr } = await this.place.restoreByOurs(output)
      if (code !== 0) throw new Error(`litestream restore: ${stderr}`)
      this.compare(output, state)
    }
    if (turn % 4 === 2) await this.checkByReal(output, state)
    return state
  }

  private async restoredState(): Promise<number | undefined> {
    const output = join(this.options.directory, 'out', 'restored.db')
    if (!(await this.place.restoreHere(output))) return undefined
    const found = readState(output)
    if (found.n < this.model.n) throw new Error(`restored state ${found.n}, but ${this.model.n} was restored before`)
    const difference = differenceOf(found, this.model.stateAt(found.n))
    if (difference) throw new Error(`not a committed state: ${difference}`)
    // The acknowledgement may still be on its way through the pipe.
    await until(() => found.n <= this.application.acknowledged + 1, {
      timeoutMs: 5000,
      what: `an acknowledgement near state ${found.n}, which was restored`,
    })
    return found.n
  }

  private compare(path: string, state: number): void {
    const found = readState(path)
    const difference = differenceOf(found, this.model.stateAt(state))
    if (difference) throw new Error(`${path} differs: ${difference}`)
    rmSync(path)
  }

  private async checkNothing(): Promise<void> {
    if (this.model.n !== EMPTY || (await this.place.isRestorable())) {
      throw new Error('restore finds no backup, but the replica holds a snapshot')
    }
    this.report.nothingYet++
    if (this.report.nothingYet > 1) return
    const { code, stderr } = await this.place.restoreByOurs(join(this.options.directory, 'out', 'nothing.db'))
    if (code !== 1 || !stderr.includes('no matching backups found')) {
      throw new Error(`expected "no matching backups found" with exit status 1, got ${code}: ${stderr}`)
    }
  }

  private async checkByReal(output: string, state: number): Promise<void> {
    const { code, stdout, stderr } = await this.place.restoreByReal(output)
    if (code === 0) {
      this.compare(output, state)
      this.report.byReal++
      return
    }
    // It picks the generation with the newest object, even when that has no snapshot yet (killed between overlay and snapshot).
    if (!`${stdout}${stderr}`.includes('no snapshots available'))
      throw new Error(`the real restore: ${stdout}${stderr}`)
    this.report.realStumbled++
  }
}

/** The daemon stands somewhere in a generation. */
const established = (output: string): boolean => /continuing generation|snapshot written/.test(output)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const tail = (text: string): string => text.trimEnd().split('\n').slice(-8).join('\n')
