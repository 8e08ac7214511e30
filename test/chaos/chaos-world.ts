// One world of chaos: an application, the real command, and one replica on MinIO behind a proxy in which the weather changes, for the
// whole run. Every cycle ends with a restore straight from MinIO: exactly a committed state, never an older one than before; after
// catching up in calm weather, exactly the last one. How far the replica was behind at each kill is recorded, not judged.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ApplicationOptions } from '../crash/application.js'
import { ApplicationProcess } from '../crash/application-process.js'
import { Daemon, occurrences } from '../crash/daemon.js'
import { differenceOf, EMPTY, Model, readState } from '../crash/model.js'
import { Random } from '../crash/random.js'
import { ReplicaPlace } from '../crash/replica-place.js'
import type { Workload } from '../crash/workload.js'
import { FaultProxy, type Weather } from '../support/fault-proxy.js'
import { until } from '../support/until.js'
import { Acknowledgements, type Behind } from './behind.js'
import { CALM, outageBy, weatherBy } from './weather.js'

export interface ChaosOptions {
  readonly seed: number
  readonly directory: string
  /** The application's compiled script. */
  readonly script: string
  /** The store. */
  readonly endpoint: string
  /** How long a cycle lives, at least and at most, beside what its end takes. */
  readonly lifeMs: readonly [number, number]
  /** Probability that a cycle ends with SIGKILL, and with SIGTERM; else the daemon goes on. */
  readonly kill: number
  readonly terminate: number
  readonly application: Pick<ApplicationOptions, 'paceMs' | 'autoCheckpoint'>
}

export interface KillRecord extends Behind {
  readonly cycle: number
  /** Nothing went wrong in this life of the daemon, and it had its footing. */
  readonly calm: boolean
}

/** Lines of the daemon that tell that a policy did something. */
const POLICIES = {
  'snapshots within a generation': /msg="snapshot written".* position=\w+\/(?!00000000)/g,
  'snapshots deleted': /msg="snapshot deleted"/g,
  'generations deleted': /msg="generation deleted"/g,
  validated: /msg=validated/g,
  'validation mismatches': /msg="validation mismatch"/g,
  'validations inconclusive': /msg="validation was inconclusive"/g,
  'retention errors': /msg="retainer error"/g,
}

export class ChaosWorld {
  readonly kills: KillRecord[] = []
  readonly counts: Record<string, number> = {}
  readonly reasons: Record<string, number> = {}
  readonly story: string[] = []
  daemon: Daemon | undefined
  state = EMPTY
  private readonly random: Random
  private readonly model: Model
  private readonly application: ApplicationProcess
  private readonly acknowledged = new Acknowledgements()
  private restores = 0
  /** Of the daemon's present life. */
  private disturbed = false
  private cycleNumber = 0

  private constructor(
    private readonly options: ChaosOptions,
    private readonly proxy: FaultProxy,
    private readonly place: ReplicaPlace,
  ) {
    this.random = new Random(options.seed)
    const workload: Workload = { seed: options.seed, pageSize: 4096, autoVacuum: 0, ballastBytes: 1 << 20 }
    this.model = new Model(workload)
    const path = join(options.directory, 'source', 'app.db')
    const application = { path, workload, synchronous: 'NORMAL', vacuum: 0.001, paused: false } as const
    const heard = (n: number) => this.acknowledged.heard(n, performance.now())
    this.application = new ApplicationProcess(options.script, { ...application, ...options.application }, heard)
  }

  static async make(options: ChaosOptions): Promise<ChaosWorld> {
    const { directory, endpoint, seed } = options
    for (const name of ['source', 'out', 'tmp']) mkdirSync(join(directory, name), { recursive: true })
    const proxy = await FaultProxy.start(endpoint, seed)
    const place = await ReplicaPlace.make('s3', directory, join(directory, 'source', 'app.db'), proxy.endpoint)
    return new ChaosWorld(options, proxy, place)
  }

  get faults(): Readonly<Record<string, number>> {
    return this.proxy.counts
  }

  get requests(): number {
    return this.proxy.requests
  }

  /** One cycle, with a catch-up behind it when `catchUp`. Rejects with what happened last when anything is not as it must be. */
  async cycle(catchUp: boolean): Promise<void> {
    this.cycleNumber++
    try {
      await this.live()
      if (!(await this.end())) await this.check()
      if (catchUp) await this.catchUp()
    } catch (error) {
      const where = `seed ${this.options.seed}, cycle ${this.cycleNumber}, in ${this.options.directory}`
      process.stderr.write(`chaos: ${where}:\n${this.story.slice(-14).join('\n')}\n`)
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    this.daemon?.kill('SIGKILL')
    await this.daemon?.ended
    this.application.thaw()
    await this.application.kill()
    await this.proxy.close()
  }

  private count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1
  }

  private setWeather(weather: Weather): void {
    this.proxy.weather = weather
    if (weather !== CALM) this.disturbed = true
    this.story.push(`weather: ${describe(weather)}`)
  }

  private async startApplication(): Promise<void> {
    const { random } = this
    const synchronous = random.pick(['FULL', 'NORMAL'] as const)
    await this.application.start(false, { synchronous })
  }

  private async startDaemon(): Promise<Daemon> {
    const { random } = this
    const config = this.place.configure({
      monitorIntervalMs: random.pick([10, 50, 200]),
      syncIntervalMs: random.pick([10, 50, 100]),
      snapshotIntervalMs: random.pick([80, 300, 2000]),
      // What a restore has chosen stays for this long, and no restore takes it.
      retentionMs: random.pick([2000, 4000]),
      retentionCheckIntervalMs: random.pick([100, 500]),
      validationIntervalMs: random.pick([100, 400]),
    })
    this.disturbed = this.proxy.weather !== CALM
    this.daemon = await Daemon.start(config, join(this.options.directory, 'tmp'))
    return this.daemon
  }

  /** The daemon lives for a while, and things happen. */
  private async live(): Promise<void> {
    const { random, application } = this
    this.setWeather(weatherBy(random))
    if (!application.running && random.chance(0.8)) await this.startApplication()
    const daemon = this.daemon ?? (await this.startDaemon())
    const [least, most] = this.options.lifeMs
    const endMs = performance.now() + least + random.below(most - least)
    // Half of the lives get as far as having their footing first; the others end wherever they are.
    if (random.chance(0.5)) await daemon.reached(established, 1500)
    for (let events = random.pick([0, 0, 1, 1, 2]); events > 0; events--) {
      await pause(random.below(200))
      await this.happen(daemon)
    }
    if (!application.running) await this.startApplication()
    await pause(endMs - performance.now())
    if (application.failure) throw new Error(application.failure)
  }

  private async happen(daemon: Daemon): Promise<void> {
    const { random, application } = this
    const kind = random.below(9)
    if (kind === 0 && application.running) await application.kill()
    else if (kind === 1 && application.running) await application.close()
    else if (kind <= 3 && application.running) {
      application.freeze()
      await pause(random.below(150))
      application.thaw()
    } else if (kind <= 5) {
      this.disturbed = true
      daemon.kill('SIGSTOP')
      await pause(random.below(250))
      if (!application.running) await this.startApplication()
      daemon.kill('SIGCONT')
    } else if (kind <= 7) {
      this.setWeather(random.chance(0.5) ? outageBy(random) : weatherBy(random))
    } else if (!application.running) await this.startApplication()
    this.count(`event ${['kill', 'close', 'freeze', 'freeze', 'stop', 'stop', 'weather', 'weather', 'start'][kind]}`)
    if (!application.running && random.chance(0.7)) await this.startApplication()
  }

  /** True when the replica was looked at already. */
  private async end(): Promise<boolean> {
    const { random, daemon, options, application } = this
    if (!daemon) return false
    const draw = random.next()
    if (draw >= options.kill + options.terminate && !daemon.hasEnded) {
      this.count('went on')
      return false
    }
    if (draw < options.kill) {
      // As a machine stops that loses its power: nothing runs any more, then nothing is there.
      if (random.chance(0.2)) daemon.kill('SIGSTOP')
      const [acknowledged, atMs] = [this.acknowledged.newest, performance.now()]
      daemon.kill('SIGKILL')
      await this.ended(daemon, 'SIGKILL')
      const state = await this.check()
      const behind = this.acknowledged.behind(state ?? EMPTY, acknowledged, atMs)
      this.kills.push({ cycle: this.cycleNumber, calm: !this.disturbed && established(daemon.output), ...behind })
      this.count('killed')
      return true
    }
    const calm = this.proxy.weather === CALM
    const least = this.acknowledged.newest
    daemon.kill('SIGTERM')
    if (!calm) {
      await Promise.race([pause(random.below(400)), daemon.ended])
      if (random.chance(0.5)) daemon.kill('SIGKILL')
      else this.setWeather(CALM)
    }
    const { code } = await this.ended(daemon, 'SIGTERM')
    this.count(calm ? 'stopped in calm weather' : 'stopped in bad weather')
    if (!calm || !established(daemon.output) || !application.running) return false
    if (code !== 0) {
      // The application, which goes on, restarted its WAL in that very moment: said, and made good by the next start.
      if (lostWhileStopping(daemon.output)) {
        this.count('lost sight of the WAL while stopping')
        return false
      }
      throw new Error(`asked to stop in calm weather, the daemon ended with ${code}`)
    }
    const state = await this.check()
    if (state === undefined || state < least) throw new Error(`stopped at state ${least}, restored ${state}`)
    return true
  }

  private async ended(daemon: Daemon, asked: NodeJS.Signals): Promise<{ code: number | null }> {
    const { code, signal } = await daemon.ended
    this.daemon = undefined
    this.story.push(`${asked}: ended with ${signal ?? code}\n${tail(daemon.output)}`)
    for (const [, reason = ''] of daemon.output.matchAll(/"sync: new generation".* reason=("[^"]*"|\S+)/g)) {
      this.reasons[reason] = (this.reasons[reason] ?? 0) + 1
    }
    if (occurrences(daemon.output, 'continuing generation') > 0) this.count('continued a generation')
    for (const [name, line] of Object.entries(POLICIES)) {
      this.counts[name] = (this.counts[name] ?? 0) + timesIn(daemon.output, line)
    }
    // In bad weather the store's answers may be altered on their way each time they are asked for.
    if (!this.disturbed && daemon.output.includes('msg="validation mismatch"')) {
      throw new Error(`a validation failed in calm weather:\n${tail(daemon.output)}`)
    }
    // One for a sync that could not be, when it was asked to stop, and the signal itself before it could listen for it.
    const asAsked = asked === 'SIGTERM' && (code === 1 || (signal === 'SIGTERM' && daemon.output === ''))
    if (signal !== 'SIGKILL' && code !== 0 && !asAsked) {
      throw new Error(`the daemon ended by itself with ${signal ?? code}:\n${daemon.output.slice(-3000)}`)
    }
    return { code }
  }

  /** Calm weather, no more commits: then the replica holds exactly the last one, and stopping ends well. */
  private async catchUp(): Promise<void> {
    const { application, random } = this
    this.count('caught up')
    this.setWeather(CALM)
    if (!application.running) await this.startApplication()
    const daemon = this.daemon ?? (await this.startDaemon())
    const last = await application.pause()
    let failure: unknown
    const caughtUp = async (): Promise<boolean> => {
      // A wrong restore is no reason to wait for a better one.
      const state = await this.restoredState().catch((error: unknown) => {
        failure = error
        return last
      })
      return state === last
    }
    await until(caughtUp, { what: `state ${last} in the replica`, timeoutMs: 90_000, intervalMs: 60 }).catch(
      (error) => {
        throw new Error(`${error.message}, which gives ${this.state}; the daemon says\n${tail(daemon.output)}`)
      },
    )
    if (failure) throw failure
    await this.checkByReal(last)
    if (random.chance(0.5)) {
      daemon.kill('SIGTERM')
      const { code } = await this.ended(daemon, 'SIGTERM')
      if (code !== 0) throw new Error(`asked to stop after catching up, the daemon ended with ${code}`)
      const state = await this.check()
      if (state !== last) throw new Error(`stopped at state ${last}, restored ${state}`)
    }
    application.go()
  }

  /** Calm weather, and a life that lasts until each policy was seen to work at least once in this run. */
  async untilPoliciesWorked(): Promise<void> {
    this.setWeather(CALM)
    if (!this.application.running) await this.startApplication()
    const daemon = this.daemon ?? (await this.startDaemon())
    const times = (name: keyof typeof POLICIES): number =>
      (this.counts[name] ?? 0) + timesIn(daemon.output, POLICIES[name])
    const lacking = (): string[] => {
      const deleted = times('snapshots deleted') + times('generations deleted')
      const seen = { deleted, validated: times('validated'), snapshots: times('snapshots within a generation') }
      return Object.entries(seen).flatMap(([name, count]) => (count > 0 ? [] : [name]))
    }
    await until(() => lacking().length === 0, { timeoutMs: 90_000, what: 'every policy at work' }).catch((error) => {
      throw new Error(`${error.message}: lacking ${lacking()}; the daemon says\n${tail(daemon.output)}`)
    })
    await this.restoredState()
  }

  private async check(): Promise<number | undefined> {
    const state = await this.restoredState()
    if (state === undefined) {
      if (this.state !== EMPTY || (await this.place.isRestorable()))
        throw new Error('restore finds no backup, but there was one')
      this.count('nothing yet')
    } else if (this.restores % 9 === 4) await this.checkByReal(state)
    return state
  }

  private async restoredState(): Promise<number | undefined> {
    this.restores++
    const output = join(this.options.directory, 'out', 'restored.db')
    if (!(await this.place.restoreHere(output))) return undefined
    const found = readState(output)
    if (found.n < this.state) throw new Error(`restored state ${found.n}, but ${this.state} was restored before`)
    this.compare(found.n, output)
    this.state = found.n
    this.acknowledged.forget(found.n)
    await until(() => found.n <= this.application.acknowledged + 1, {
      timeoutMs: 5000,
      what: `an acknowledgement near state ${found.n}, which was restored`,
    })
    return found.n
  }

  private compare(n: number, path: string): void {
    const difference = differenceOf(readState(path), this.model.stateAt(n))
    if (difference) throw new Error(`${path} is not a committed state: ${difference}`)
  }

  /** Nothing writes, or what is written meanwhile is newer: the real 0.3.13 gives this state or a later one, and exactly. */
  private async checkByReal(state: number): Promise<void> {
    const output = join(this.options.directory, 'out', 'real.db')
    const { code, stdout, stderr } = await this.place.restoreByReal(output)
    if (code === 0) {
      const { n } = readState(output)
      if (n < state) throw new Error(`the real restore gives state ${n} instead of ${state}`)
      this.compare(n, output)
      rmSync(output)
      this.count('restored by 0.3.13')
      return
    }
    // It picks the generation with the newest object, even when that has no snapshot yet.
    if (!`${stdout}${stderr}`.includes('no snapshots available'))
      throw new Error(`the real restore: ${stdout}${stderr}`)
    this.count('0.3.13 stumbled over an unborn generation')
  }
}

/** The daemon stands somewhere in a generation. */
const established = (output: string): boolean => /continuing generation|snapshot written/.test(output)

const lostWhileStopping = (output: string): boolean => /signal received[\s\S]*lost sight of the WAL/.test(output)

const describe = (weather: Weather): string =>
  Object.entries(weather)
    .map(([fault, probability]) => `${fault} ${Math.round(probability * 100)}%`)
    .join(', ') || 'calm'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))

const timesIn = (text: string, line: RegExp): number => [...text.matchAll(line)].length

const tail = (text: string): string => text.trimEnd().split('\n').slice(-7).join('\n')
