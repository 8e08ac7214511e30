// The invariants of ARCHITECTURE.md, looked at after every effect on the store:
//
//   2  every snapshot that can be seen gives, with its segments, exactly a committed state at each of their ends
//   3  the newest restorable state is some commit, and never an older one than what was acknowledged
//   5  a position moves only by an acknowledged upload
//   6  an object, once stored, stays what it is
//
// Where less is promised (several writers; listings that lag, which hide the newest generation from a daemon that starts and some of
// what expires from retention), that is checked: nothing restores to a wrong state, and in the end all is right.

import { parseKey } from '../../src/model/layout.js'
import { buildTimelines, type GenerationTimeline, type ListedObject } from '../../src/model/timeline.js'
import { chooseRestore } from '../../src/plan/restore-choice.js'
import type { RestorePlan } from '../../src/plan/restore-plan.js'
import type { Place } from '../../src/replicate/replica-writer.js'
import type { Circumstances } from './circumstances.js'
import { putPage } from './disk.js'
import { differenceFrom, type Ledger, type State } from './ledger.js'
import { type PlainObject, readObject } from './objects.js'
import type { Process, Scheduler } from './scheduler.js'
import type { Store, StoredBytes } from './store.js'

/** A state that can be restored. */
export interface Point {
  readonly object: PlainObject
  readonly state: State
}

/** What a snapshot and the segments behind it come to so far. */
interface Run {
  readonly snapshot: PlainObject
  pages: Buffer[]
  index: number
  offset: number
  readonly points: Point[]
}

export class Checks {
  private readonly known = new Map<string, PlainObject>()
  private readonly timelines = new Map<string, GenerationTimeline>()
  /** The highest index that something was deleted of, by whoever did not see all of it. */
  private readonly expiredTo = new Map<string, number>()
  private readonly gone = new Map<string, PlainObject>()
  private readonly runs = new Map<string, Run[]>()
  /** Id of the newest state that some daemon was told is stored. */
  private safeId = 0
  private chosen: Point | undefined
  /** What was the newest, one after the other. */
  private readonly newestSoFar: Point[] = []

  constructor(
    private readonly scheduler: Scheduler,
    private readonly ledger: Ledger,
    private readonly store: Store,
    private readonly circumstances: Pick<Circumstances, 'daemons' | 'retentionMs' | 'clockJumps' | 'store'>,
  ) {
    store.onPut = (object, before) => this.put(object, before)
    store.onDelete = (keys) => this.deleted(keys)
    store.onAcknowledged = (object) => this.acknowledge(object)
  }

  private get lags(): boolean {
    return this.circumstances.store.listingLagMs > 0
  }

  /** Of a generation, in order; every point that some visible snapshot leads to. */
  pointsOf(generation: string): Point[] {
    return (this.runs.get(generation) ?? []).flatMap(({ points }) => points)
  }

  private put(stored: StoredBytes, before: StoredBytes | undefined): void {
    const changed = before && !before.bytes.equals(stored.bytes)
    // A snapshot whose upload failed, or so it seemed, is taken again.
    if (changed && parseKey(stored.key)?.kind === 'segment') {
      this.scheduler.fail(`${stored.key} was replaced by something else`)
    }
    const object = readObject(stored)
    if (!object) return
    this.known.set(object.key, object)
    if (before || !this.listNext(object)) this.list(object.generation)
    if (before && !changed) return
    const runs = this.runs.get(object.generation)
    const appends = object.kind === 'segment' && runs?.every((run) => followsOn(run, object))
    if (appends) for (const run of runs ?? []) this.apply(run, object)
    else this.rebuild(object.generation)
    this.checkNewest()
  }

  private deleted(keys: readonly string[]): void {
    const generations = new Set<string>()
    for (const key of keys) {
      const object = this.known.get(key)
      if (object) this.gone.set(key, object)
      this.known.delete(key)
      const name = parseKey(key)
      if (!name) continue
      generations.add(name.generation)
      if (this.lags) this.expiredTo.set(name.generation, Math.max(name.index, this.expiredTo.get(name.generation) ?? 0))
    }
    for (const generation of generations) {
      this.list(generation)
      this.rebuild(generation)
    }
    this.checkNewest()
    this.checkPromised()
  }

  /** As whoever lists everything would see the generation. */
  private list(generation: string): void {
    const listing: ListedObject[] = []
    for (const object of this.known.values()) {
      if (object.generation !== generation) continue
      const { key, modifiedAtMs } = this.store.objects.get(object.key) as StoredBytes
      listing.push({ key, size: 0, modifiedAtMs })
    }
    const [timeline] = buildTimelines(listing)
    if (timeline) this.timelines.set(generation, timeline)
    else this.timelines.delete(generation)
  }

  /** False when it is not simply the next segment: that is quicker told than the whole generation listed. */
  private listNext({ kind, generation, key, index, offset, modifiedAtMs }: PlainObject): boolean {
    const timeline = this.timelines.get(generation)
    const last = timeline?.segments.at(-1)
    if (kind !== 'segment' || !timeline || (last && last.key >= key)) return false
    const segment = { kind, generation, index, offset, key, size: 0, modifiedAtMs }
    const lastAtMs = Math.max(timeline.lastAtMs, modifiedAtMs)
    this.timelines.set(generation, { ...timeline, segments: [...timeline.segments, segment], lastAtMs })
    return true
  }

  private rebuild(generation: string): void {
    const objects = [...this.known.values()].filter((object) => object.generation === generation)
    const snapshots = objects.filter(({ kind }) => kind === 'snapshot').sort((a, b) => a.index - b.index)
    const segments = objects
      .filter(({ kind }) => kind === 'segment')
      .sort((a, b) => a.index - b.index || a.offset - b.offset)
    const runs: Run[] = []
    const expiredTo = this.expiredTo.get(generation) ?? -1
    for (const snapshot of snapshots) {
      const run: Run = { snapshot, pages: [...snapshot.pages], index: snapshot.index, offset: 0, points: [] }
      runs.push(run)
      const overlay = snapshot.provenance?.overlayBytes
      if (!overlay) this.check(run, snapshot)
      else if (
        snapshot.index > expiredTo &&
        !segments.some(({ index, offset }) => index === snapshot.index && offset === 0)
      ) {
        this.scheduler.fail(`${snapshot.key} can be seen without its overlay`)
      }
      for (const segment of segments) {
        if (segment.index < snapshot.index) continue
        // What of it expired was not all that expires.
        if (run.index <= expiredTo && !(followsOn(run, segment) && endsWhere(run, segment))) break
        if (!followsOn(run, segment)) {
          this.scheduler.fail(`${segment.key} does not follow index ${run.index} offset ${run.offset}`)
          break
        }
        this.apply(run, segment)
      }
    }
    this.runs.set(generation, runs)
  }

  private apply(run: Run, segment: PlainObject): void {
    if (!endsWhere(run, segment)) {
      const offset = segment.provenance?.previous?.offset
      this.scheduler.fail(`${segment.key} continues offset ${offset}, but ${run.offset} is there`)
    }
    run.index = segment.index
    run.offset = segment.offset + segment.length
    if (segment.frames.length === 0) return
    for (const { page, commit, image } of segment.frames) {
      putPage(run.pages, page, image)
      if (commit > 0) run.pages.length = commit
    }
    this.check(run, segment)
  }

  private check(run: Run, object: PlainObject): void {
    const { provenance } = object
    const states = provenance ? this.ledger.statesOf(provenance.source) : []
    const newest = states.at(-1)
    if (!newest) {
      this.scheduler.fail(`${object.key} ${provenance ? 'stands for a state that never was' : 'has no provenance'}`)
      return
    }
    const state = states.findLast((one) => differenceFrom(one, run.pages) === undefined)
    if (state) {
      run.points.push({ object, state })
      return
    }
    const what = `${run.snapshot.key} up to ${object.key} is not state ${newest.id}`
    this.scheduler.fail(`${what}: ${differenceFrom(newest, run.pages)}`)
  }

  /** What `restore` would choose now. */
  newest(): Point | undefined {
    return this.chosen
  }

  private choose(): Point | undefined {
    const generations = [...this.timelines.values()]
    const choosing = chooseRestore([{ replica: 'r', generations }], { kind: 'latest' })
    let step = choosing.next()
    while (!step.done) step = choosing.next(this.known.get(step.value.object.key)?.provenance)
    const { planned, refused } = step.value
    const plan = planned[0]?.plan
    if (!plan) {
      const reason = refused[0]?.refusal
      if (reason && this.safeId > 0) this.scheduler.fail(`nothing can be restored: ${reason.message}`)
      return undefined
    }
    return this.pointOf(plan)
  }

  /** What a plan of a restore leads to. */
  pointOf(plan: RestorePlan): Point | undefined {
    const last = plan.segments.at(-1)?.key ?? plan.snapshot.key
    const run = this.runs.get(plan.generation)?.find(({ snapshot }) => snapshot.key === plan.snapshot.key)
    // A segment without content is no state of its own.
    return run?.points.findLast(({ object }) => object.key <= last)
  }

  private checkNewest(): void {
    const point = this.choose()
    if (point && point.object.key !== this.chosen?.object.key) this.newestSoFar.push(point)
    this.chosen = point
    if (this.circumstances.daemons > 1 || this.lags) return
    const id = point ? this.idOf(point) : 0
    if (id < this.safeId) {
      this.scheduler.fail(`state ${this.safeId} was acknowledged, and the newest that can be restored is ${id}`)
    }
  }

  /** Every moment of the retention's window can be restored: what was the newest at any time in it is still there. */
  private checkPromised(): void {
    const { daemons, clockJumps, retentionMs } = this.circumstances
    if (daemons > 1 || clockJumps || this.lags) return
    const windowFromMs = this.scheduler.wallMs() - retentionMs
    for (const [i, { object, state }] of this.newestSoFar.entries()) {
      const next = this.newestSoFar[i + 1]
      if (next && (next.object.provenance?.observedAtMs ?? 0) <= windowFromMs) continue
      const points = this.pointsOf(object.generation)
      if (points.some((point) => point.object.key === object.key)) continue
      // A snapshot whose upload seemed to fail is taken again; the one before ends in the same state.
      if (points.some((point) => differenceFrom(state, point.state.pages) === undefined)) continue
      this.scheduler.fail(`${object.key} cannot be restored any more, within ${retentionMs} ms`)
      return
    }
  }

  /** The newest state of this content that the object's name can mean. */
  private idOf({ object, state }: Point): number {
    const states = object.provenance ? this.ledger.statesOf(object.provenance.source) : []
    return states.findLast((one) => differenceFrom(one, state.pages) === undefined)?.id ?? state.id
  }

  private acknowledge(stored: StoredBytes): void {
    const object = this.known.get(stored.key)
    if (!object) return
    const ofKey = ({ points, snapshot }: Run) =>
      object === snapshot ? points[0] : points.find((point) => point.object === object)
    const point = (this.runs.get(object.generation) ?? []).map(ofKey).find((one) => one !== undefined)
    if (point) this.safeId = Math.max(this.safeId, this.idOf(point))
  }

  checkPlace({ generation, end }: Place, process: Process): void {
    if (end.offset === 0) return
    // The retention of another daemon takes a generation away whose writer could not be heard of for the whole window.
    const gone = this.circumstances.daemons > 1 ? this.gone.values() : []
    for (const object of [...this.known.values(), ...gone]) {
      if (object.generation !== generation || object.index !== end.index || object.kind !== 'segment') continue
      if (object.offset + object.length === end.offset) return
    }
    this.scheduler.fail(`${process.name} stands at ${generation}/${end.index}:${end.offset}, which the store has not`)
  }
}

function followsOn(run: Run, segment: PlainObject): boolean {
  if (segment.index === run.index) return segment.offset === run.offset
  return segment.index === run.index + 1 && segment.offset === 0 && run.offset > 0
}

/** The index before ends where the segment says. */
function endsWhere(run: Run, { index, provenance }: PlainObject): boolean {
  const { previous } = provenance ?? {}
  return !previous || run.index !== index - 1 || run.offset === previous.offset
}
