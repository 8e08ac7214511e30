// Deliberate bugs, that the simulator has to notice. Each is a substitute for something that is passed in, or for a part of a module
// while that is loaded for one canary (see canaries.test.ts); the product's own code knows nothing of them.

import type { ReplicaClient } from '../../src/replica/client.js'
import type { ObservedFiles } from '../../src/source/files.js'
import { framesInMemory, scannerAtStart } from '../../src/source/wal-reader.js'
import type { WalIndexHeader } from '../../src/sqlite/wal-index.js'
import type { Changes } from './circumstances.js'
import { FRAME_BYTES, PAGE_BYTES } from './disk.js'

// biome-ignore lint/suspicious/noExplicitAny: private parts of modules are what is broken here
type Anything = any
type Method = (this: Anything, ...rest: Anything[]) => Anything

export interface Canary {
  readonly name: string
  /** A file below src/, and what its exports become; its classes may be changed in place. */
  readonly module?: readonly [string, (exports: Anything) => Record<string, unknown>] | undefined
  readonly changes?: Changes | undefined
}

/** `make` is given the right method and gives the wrong one. */
const method = (path: string, className: string, name: string, make: (right: Method) => Method): Canary['module'] => [
  path,
  (exports) => {
    const { prototype } = exports[className]
    if (typeof prototype[name] !== 'function') throw new Error(`${className} has no ${name} any more`)
    prototype[name] = make(prototype[name])
    return {}
  },
]

const client = (make: (right: ReplicaClient) => Partial<ReplicaClient>): Changes => ({
  client: (right) => {
    const wrong = make(right)
    return new Proxy(right, {
      get(_target, name) {
        const owner = name in wrong ? wrong : right
        const value = Reflect.get(owner, name)
        return typeof value === 'function' ? value.bind(owner) : value
      },
    })
  },
})

const files = (make: (right: ObservedFiles) => Partial<ObservedFiles>): Changes => ({
  source: (right) => ({
    open(path) {
      const opened = right.open(path)
      return 'missing' in opened ? opened : Object.assign(opened, make(opened))
    },
    pins: (path) => right.pins(path),
    holdsDeadManSwitch: (inode) => right.holdsDeadManSwitch(inode),
    watch: (paths, hint) => right.watch(paths, hint),
    passiveCheckpoint: (path) => right.passiveCheckpoint(path),
  }),
})

const STORED = { key: '', size: 0, modifiedAtMs: 0 }

export const CANARIES: readonly Canary[] = [
  {
    name: 'a page of a changeset is dropped',
    module: method(
      'source/changeset',
      'Changeset',
      'pages',
      (right) =>
        function (pageMax) {
          const pages = right.call(this, pageMax)
          return pages.length > 1 ? pages.subarray(0, -1) : pages
        },
    ),
  },
  {
    name: 'a page of a changeset keeps its first version',
    module: method(
      'source/changeset',
      'Changeset',
      'put',
      (right) =>
        function (page, image) {
          if (!this.has(page)) right.call(this, page, image)
        },
    ),
  },
  {
    name: 'an offset is one byte off',
    module: [
      'replicate/segment',
      ({ encodeSegment }) => ({
        encodeSegment(...rest: unknown[]) {
          const segment = encodeSegment(...rest)
          return { ...segment, end: () => ({ ...segment.end(), offset: segment.end().offset + 1 }) }
        },
      }),
    ],
  },
  {
    name: 'the salts are ignored: nobody looks whether the WAL was restarted while it was read',
    module: method('replicate/wal-tracker', 'WalTracker', 'stillIn', () => () => true),
    changes: {
      circumstances: { preemptChance: 0.3, monitorIntervalMs: 100 },
      habits: { autoCheckpointFrames: 2, checkpointModes: ['RESTART'], checkpointChance: 0.5, readerChance: 0 },
    },
  },
  {
    name: 'the commit gate is skipped: commit marks in the WAL are believed',
    changes: {
      habits: { dieChance: 0.15, sync: true },
      ...files((right) => {
        const walIndex = right.walIndex.bind(right)
        return { walIndex: () => ungated(right, walIndex()) }
      }),
    },
  },
  {
    name: 'salt-1 + 1 is taken for proof of a crossing',
    module: [
      'sqlite/crossing',
      () => ({
        judgeCrossing: ({
          oldSalt1,
          newSalt1,
          tailCommits,
        }: Record<'oldSalt1' | 'newSalt1' | 'tailCommits', number>) =>
          newSalt1 === (oldSalt1 + 1) >>> 0
            ? { proven: true, takeFromTail: tailCommits }
            : { proven: false, reason: 'restarted more than once' },
      }),
    ],
  },
  {
    name: 'any empty WAL is taken for the one that was seen before',
    module: ['sqlite/wal-index', () => ({ hasName: () => true })],
    changes: {
      circumstances: {
        crashEveryMs: 1500,
        downMsMax: 2300,
        daemons: 1,
        stormy: false,
        clockJumps: false,
        monitorIntervalMs: 100,
      },
      habits: { closeChance: 0.3, dieChance: 0, replaceChance: 0, powerLossChance: 0, readerChance: 0 },
      store: { conditional: true, listingLagMs: 0 },
    },
  },
  {
    name: 'lost continuity is not told',
    module: method('replicate/shipper', 'Shipper', 'lost', () => () => {}),
  },
  {
    name: 'a start goes on with the generation without proof',
    module: [
      'plan/resume-plan',
      () => ({
        planResume: ({ generation }: { generation: boolean }) =>
          generation ? { how: 'continue' } : { how: 'new-generation', reason: 'no generation exists' },
      }),
    ],
  },
  {
    name: 'an index is used again after a start',
    module: [
      'replicate/resume-point',
      ({ findResumePoint }) => ({
        async findResumePoint(...rest: unknown[]) {
          const point = await findResumePoint(...rest)
          return point && { ...point, nextIndex: Math.max(0, point.nextIndex - 1), previous: undefined }
        },
      }),
    ],
    changes: { circumstances: { crashEveryMs: 1500 }, store: { conditional: false, listingLagMs: 0 } },
  },
  {
    name: 'an upload is acknowledged before it is stored',
    changes: client((right) => ({
      async put(key, body, options) {
        const chunks: Uint8Array[] = []
        for await (const chunk of body) chunks.push(Uint8Array.from(chunk))
        const again = async function* () {
          yield* chunks
        }
        right.put(key, again(), options).catch(() => {})
        return STORED
      },
    })),
  },
  {
    name: 'a failed upload is taken for a good one',
    changes: client((right) => ({ put: (key, body, options) => right.put(key, body, options).catch(() => STORED) })),
  },
  {
    name: 'the overlay is shipped after its snapshot',
    module: [
      'replicate/replica-writer',
      ({ ReplicaWriter }) => {
        const { writeSegment, writeSnapshot } = ReplicaWriter.prototype
        const late = new WeakMap<object, unknown[] | undefined>()
        ReplicaWriter.prototype.writeSegment = async function (this: Anything, ...rest: unknown[]) {
          if (late.has(this)) late.set(this, rest)
          else await writeSegment.apply(this, rest)
        }
        ReplicaWriter.prototype.writeSnapshot = async function (this: Anything, ...rest: unknown[]) {
          late.set(this, undefined)
          const stored = await writeSnapshot.apply(this, rest)
          const segment = late.get(this)
          late.delete(this)
          if (segment) await writeSegment.apply(this, segment)
          return stored
        }
        return {}
      },
    ],
  },
  {
    name: 'pages that only the WAL has are left out of a copy',
    module: method(
      'replicate/follower',
      'Follower',
      'beginCopy',
      (right) =>
        function (sink, _fromWal, signal) {
          return right.call(this, sink, { begin: () => {}, put: () => {} }, signal)
        },
    ),
  },
  {
    name: 'a restored database is not cut to its size',
    module: [
      'restore/page-writer',
      ({ PageWriter }) => {
        PageWriter.prototype.endIndex = async () => {}
        PageWriter.prototype.finish = async function (this: Anything) {
          await this.flush()
        }
        return {}
      },
    ],
    changes: { circumstances: { snapshotIntervalMs: 0, crashEveryMs: 0, stormy: false }, habits: { pagesMax: 20 } },
  },
  {
    name: 'retention is too eager',
    module: [
      'plan/retention-plan',
      ({ planRetention }) => ({
        planRetention: (question: object) => planRetention({ ...question, retentionMs: 1 }),
      }),
    ],
    changes: { circumstances: { retentionMs: 5000, snapshotIntervalMs: 400, clockJumps: false, daemons: 1 } },
  },
  {
    name: 'whoever finds a key taken believes that it was himself',
    changes: {
      circumstances: { daemons: 2 },
      store: { conditional: true },
      ...client((right) => ({
        put: (key, body, options) =>
          right.put(key, body, options).catch((error) => {
            if (error.code === 'EXISTS') return STORED
            throw error
          }),
      })),
    },
  },
  {
    name: 'an index is not closed before the next opens',
    module: method('replicate/replica-writer', 'ReplicaWriter', 'close', () => async () => {}),
    changes: {
      circumstances: { daemons: 2, crashEveryMs: 1500, snapshotIntervalMs: 400 },
      store: { conditional: true },
    },
  },
  {
    name: 'a key that is free is taken for one that nobody had, however long ago',
    module: method('replicate/away', 'Away', 'look', () => async () => {}),
    changes: {
      circumstances: { daemons: 2, retentionMs: 1000, snapshotIntervalMs: 400, stormy: true },
      store: { conditional: true },
    },
  },
  {
    name: 'a key that is taken is written again',
    changes: {
      circumstances: { daemons: 2 },
      store: { conditional: true },
      ...client((right) => ({
        put: (key, body, options) => right.put(key, body, { ...options, ifAbsent: false }),
      })),
    },
  },
]

/** The header as it would be if the last commit mark of the chain were a commit. */
function ungated(right: ObservedFiles, header: WalIndexHeader | undefined): WalIndexHeader | undefined {
  const scanner = header && header.mxFrame > 0 ? scannerAtStart(right, header) : undefined
  if (!header || !scanner) return header
  let marked = header
  let extra = 0
  const frame = Buffer.from(new ArrayBuffer(FRAME_BYTES))
  for (let at = 32; scanner.frames < framesInMemory(PAGE_BYTES); at += FRAME_BYTES) {
    if (right.readWal(frame, FRAME_BYTES, at) < FRAME_BYTES) break
    const { frames, commits } = scanner.scan(frame, 1)
    if (frames === 0) break
    if (commits[0] === 0 || scanner.frames <= header.mxFrame) continue
    extra++
    const { frames: mxFrame, checksum1, checksum2 } = scanner
    const iChange = (header.iChange + extra) >>> 0
    marked = { ...header, mxFrame, checksum1, checksum2, iChange, pageCount: commits[0] as number }
  }
  return marked
}
