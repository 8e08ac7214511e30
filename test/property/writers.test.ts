// Several writers on one replica, in every order of their requests and with answers that get lost. Each writes its own copy of a
// database (forks of one another, or the very same), goes on with whatever generation it finds, and is killed and started again. At
// the end every snapshot, followed by whatever stands behind it, has to give a state that somebody committed, and the objects have to
// follow each other as readers of the layout want it.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { decodeFrame } from '../../src/codec/frame.js'
import { LitestreamError } from '../../src/errors.js'
import { silentLogger } from '../../src/logger.js'
import { GENERATIONS_PREFIX } from '../../src/model/layout.js'
import { buildTimelines, firstMissing, firstSegmentAt } from '../../src/model/timeline.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { MemoryClient } from '../../src/replica/memory-client.js'
import { WriterConflict } from '../../src/replicate/claim.js'
import { ReplicaRecord } from '../../src/replicate/replica-record.js'
import { type Place, ReplicaWriter } from '../../src/replicate/replica-writer.js'
import { findResumePoint } from '../../src/replicate/resume-point.js'
import type { SourceState } from '../../src/replicate/sink.js'
import { ProvenanceReader } from '../../src/restore/provenance-reader.js'
import { Changeset } from '../../src/source/changeset.js'
import { ChunkPool } from '../../src/source/spool.js'

const PAGE_SIZE = 512
const PAGES = 4
const pool = new ChunkPool(64 << 20)
const { signal } = new AbortController()

/** What a daemon does next. `snapshot` is one in its generation. */
type Step = 'commit' | 'ship' | 'snapshot' | 'restart'

/** Every commit has a number of its own; a state is the list of each page's newest one. */
class World {
  readonly states = new Set<string>()
  private commits = 0
  private random = 0
  readonly store: MemoryClient

  constructor(honours: boolean) {
    this.store = new MemoryClient({ ignoresIfAbsent: !honours })
  }

  number(): number {
    return ++this.commits
  }

  readonly randomHex = (bytes: number): string => (++this.random).toString(16).padStart(bytes * 2, '0')
}

/** A database with its history: page versions after each commit. */
interface Database {
  history: { readonly commit: number; readonly pages: readonly number[] }[]
}

const image = (version: number): Buffer => Buffer.alloc(PAGE_SIZE, Buffer.from(version.toString(16).padStart(8, '0')))
const stateOf = (pages: readonly number[]): string => pages.join()

class Daemon {
  private writer!: ReplicaWriter
  private shipped: number | undefined
  private conflicts = 0

  constructor(
    private readonly world: World,
    private readonly client: ReplicaClient,
    private readonly database: Database,
    private readonly steps: readonly Step[],
  ) {
    this.commit()
  }

  async run(): Promise<number> {
    await this.start()
    for (const step of this.steps) {
      if (step === 'commit') this.commit()
      else if (step === 'restart') await this.start()
      else await this.try(() => (step === 'ship' ? this.ship() : this.snapshot()))
    }
    await this.try(() => this.ship())
    return this.conflicts
  }

  private commit(): void {
    const { world, database } = this
    const commit = world.number()
    const before = database.history.at(-1)?.pages ?? Array(PAGES).fill(0)
    const pages = before.map((version, page) => (page === commit % PAGES ? commit : version))
    database.history.push({ commit, pages })
    world.states.add(stateOf(pages))
  }

  private get newest() {
    return this.database.history.at(-1) as Database['history'][number]
  }

  private sourceAt(commit: number): SourceState {
    const cursor = { salt1: 1, salt2: 2, frames: commit, checksum1: 0, checksum2: 0, iChange: commit }
    return { pageSize: PAGE_SIZE, pageCount: PAGES, observedAtMs: commit, source: { cursor } }
  }

  private changesSince(commit: number | undefined, pages: readonly number[]): Changeset {
    const base = this.database.history.find((entry) => entry.commit === commit)?.pages
    const changes = new Changeset(pool)
    for (const [page, version] of pages.entries()) {
      if (version !== base?.[page]) changes.put(page + 1, image(version))
    }
    return changes
  }

  private async start(): Promise<void> {
    const { world, client } = this
    const record = new ReplicaRecord(systemClock)
    this.writer = new ReplicaWriter({
      client,
      record,
      clock: systemClock,
      randomHex: world.randomHex,
      log: silentLogger,
      certainForMs: 600_000,
    })
    this.shipped = undefined
    await this.try(async () => {
      const resume = await findResumePoint(client, signal)
      const cursor = resume && 'cursor' in resume.provenance.source ? resume.provenance.source.cursor : undefined
      if (resume && this.database.history.some(({ commit }) => commit === cursor?.frames)) {
        this.writer.continueFrom(resume)
        this.shipped = cursor?.frames
      } else await this.begin()
    })
  }

  /** A new generation, of a database at rest. */
  private async begin(): Promise<void> {
    await this.copy(this.writer.newGeneration(), undefined)
  }

  /** The next snapshot: a copy of an older state, with the overlay that makes it exact. */
  private async snapshot(): Promise<void> {
    if (this.shipped === undefined) return await this.begin()
    const target = await this.writer.nextIndex(signal)
    if (target) await this.copy(target, this.shipped)
  }

  private async copy(target: Place, since: number | undefined): Promise<void> {
    const { writer } = this
    const before = this.newest
    let stands: { state: SourceState; bytes: number; overlayBytes: number } | undefined
    const finish = async () => {
      // In a generation that others may know, something is committed while the pages are copied.
      if (since !== undefined) this.commit()
      const { commit, pages } = this.newest
      const state = this.sourceAt(commit)
      const overlay = this.changesSince(since ?? before.commit, pages)
      writer.place = target
      if (overlay.size > 0) await writer.writeSegment(overlay, state, target, signal)
      this.shipped = commit
      stands = { state, bytes: PAGES * PAGE_SIZE, overlayBytes: writer.place?.end.offset ?? 0 }
    }
    async function* content(): AsyncGenerator<Buffer> {
      yield Buffer.concat(before.pages.map(image))
      await finish()
    }
    await writer.writeSnapshot(target, content(), () => stands as NonNullable<typeof stands>, signal)
  }

  private async ship(): Promise<void> {
    if (this.shipped === undefined) return await this.begin()
    const { commit, pages } = this.newest
    const changes = this.changesSince(this.shipped, pages)
    if (changes.size === 0) return
    const place = await this.writer.nextSegment(signal)
    await this.writer.writeSegment(changes, this.sourceAt(commit), place as Place, signal)
    this.shipped = commit
  }

  /** As the shipper does: storage that fails is tried again with the same content, a lost generation is left. */
  private async try(action: () => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < 4; attempt++) {
      try {
        return await action()
      } catch (error) {
        if (error instanceof WriterConflict) {
          this.conflicts++
          this.shipped = undefined
          action = () => this.begin()
        } else if (!(error instanceof LitestreamError)) throw error
      }
    }
    // The outage lasts: this process gives up, as if it were killed.
    this.shipped = undefined
  }
}

/** A store whose requests wait for their turn, and whose answers get lost. */
function distant(store: MemoryClient, turn: () => Promise<void>, faults: Iterator<number>): ReplicaClient {
  const lost = () => new LitestreamError('STORAGE', 'no answer')
  return {
    type: 'memory',
    url: 'memory://',
    async *list(prefix, abort) {
      await turn()
      yield* store.list(prefix, abort)
    },
    async listNames(prefix, abort) {
      await turn()
      return store.listNames(prefix, abort)
    },
    async get(key, options) {
      await turn()
      return store.get(key, options)
    },
    async put(key, body, options) {
      const pieces: Uint8Array[] = []
      for await (const piece of body) pieces.push(Uint8Array.from(piece))
      const fault = faults.next().value ?? 0
      await turn()
      if (fault === 1) throw lost()
      const whole = async function* () {
        yield* pieces
      }
      let stored = await store.put(key, whole(), options)
      // The transport has tried again after the first answer was lost.
      if (fault === 2) stored = await store.put(key, whole(), options)
      await turn()
      if (fault === 3) throw lost()
      return stored
    },
    async delete(keys, abort) {
      await turn()
      await store.delete(keys, abort)
    },
    close: async () => {},
  }
}

/** The pages after a snapshot and each segment behind it; throws where objects do not follow each other. */
async function replays(store: MemoryClient): Promise<{ key: string; state: string }[]> {
  const objects = []
  for await (const info of store.list(GENERATIONS_PREFIX)) objects.push(info)
  const provenance = new ProvenanceReader(store)
  const contentOf = async (key: string): Promise<Buffer> => {
    const pieces: Buffer[] = []
    for await (const piece of decodeFrame(await store.get(key), { name: key })) pieces.push(Buffer.from(piece))
    return Buffer.concat(pieces)
  }
  const found: { key: string; state: string }[] = []
  for (const { generation, snapshots, segments } of buildTimelines(objects)) {
    for (const snapshot of snapshots) {
      const content = await contentOf(snapshot.key)
      const pages = Array.from({ length: PAGES }, (_, page) =>
        content.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE),
      )
      const note = (key: string) =>
        found.push({ key, state: pages.map((page) => Number.parseInt(page.toString('latin1', 0, 8), 16)).join() })
      const overlayBytes = (await provenance.read(snapshot))?.overlayBytes ?? 0
      if (overlayBytes === 0) note(snapshot.key)
      const behind = segments.slice(firstSegmentAt(segments, snapshot.index))
      expect(firstMissing(behind, generation, snapshot.index)).toBeUndefined()
      let ends = new Map<number, number>()
      for (const segment of behind) {
        const said = await provenance.read(segment)
        const wal = await contentOf(segment.key)
        expect(segment.offset, `a hole before ${segment.key}`).toBe(ends.get(segment.index) ?? 0)
        if (segment.offset === 0 && said?.previous && segment.index > snapshot.index) {
          expect(said.previous.offset, `${segment.key} continues`).toBe(ends.get(said.previous.index))
        }
        for (let at = segment.offset === 0 ? 32 : 0; at < wal.length; at += 24 + PAGE_SIZE) {
          pages[wal.readUInt32BE(at) - 1] = wal.subarray(at + 24, at + 24 + PAGE_SIZE)
        }
        ends = ends.set(segment.index, segment.offset + wal.length)
        note(segment.key)
      }
    }
  }
  return found
}

const steps = fc.array(fc.constantFrom<Step>('commit', 'commit', 'ship', 'ship', 'ship', 'snapshot', 'restart'), {
  minLength: 3,
  maxLength: 14,
})
const faults = fc.array(fc.nat(9), { maxLength: 30 })

test('of any number of writers no two go on with one generation', async () => {
  let conflicts = 0
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.record({ steps, faults }), { minLength: 2, maxLength: 3 }),
      fc.boolean(),
      async (scheduler, plans, sameSource) => {
        const world = new World(true)
        const first: Database = { history: [] }
        const daemons: Daemon[] = []
        for (const [place, plan] of plans.entries()) {
          const turn = () => scheduler.schedule(Promise.resolve(), `daemon ${place}`)
          const client = distant(world.store, turn, plan.faults.values())
          // The very same database, or a copy that was made of it.
          const database = place === 0 || sameSource ? first : { history: [...first.history] }
          daemons.push(new Daemon(world, client, database, plan.steps))
        }
        const all = Promise.all(daemons.map((daemon) => daemon.run()))
        for (const count of await scheduler.waitFor(all)) conflicts += count
        for (const { key, state } of await replays(world.store)) {
          expect(world.states.has(state), `${key} gives ${state}`).toBe(true)
        }
      },
    ),
    { numRuns: 250 },
  )
  // Otherwise nothing was tried.
  expect(conflicts).toBeGreaterThan(30)
})

test('the same without conditional writes goes wrong: the model notices', async () => {
  const run = fc.check(
    fc.asyncProperty(fc.scheduler(), fc.tuple(steps, steps), async (scheduler, plans) => {
      const world = new World(false)
      const first: Database = { history: [] }
      const daemons = plans.map((plan, place) => {
        const turn = () => scheduler.schedule(Promise.resolve())
        const database = place === 0 ? first : { history: [...first.history] }
        return new Daemon(world, distant(world.store, turn, [].values()), database, plan)
      })
      await scheduler.waitFor(Promise.all(daemons.map((daemon) => daemon.run())))
      for (const { state } of await replays(world.store)) expect(world.states.has(state)).toBe(true)
    }),
    { numRuns: 1000, endOnFailure: true },
  )
  expect((await run).failed).toBe(true)
})
