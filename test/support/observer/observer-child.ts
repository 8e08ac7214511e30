// An observer as a process: a follower with a mirror, driven by calls. Never opens the database by any other way.

import { statSync, writeFileSync } from 'node:fs'
import { systemClock } from '../../../src/clock.js'
import { messageOf } from '../../../src/errors.js'
import { silentLogger } from '../../../src/logger.js'
import { DatabaseCopy } from '../../../src/replicate/copy.js'
import { Follower } from '../../../src/replicate/follower.js'
import { WindowTurns } from '../../../src/replicate/window.js'
import type { Changeset } from '../../../src/source/changeset.js'
import { systemSource } from '../../../src/source/source.js'
import { ChunkPool } from '../../../src/source/spool.js'
import { Mirror } from './mirror.js'
import { serve } from './serve.js'

export interface ObserverOptions {
  readonly path: string
  readonly spoolDirectory: string
  readonly monitorIntervalMs?: number
  readonly minCheckpointPageCount?: number
  readonly maxWalBytes?: number
  readonly allowCheckpoint?: boolean
  /** Page images kept in memory before the spool file is used. */
  readonly memoryBytes?: number
  /** Keep a mirror; otherwise only follow. */
  readonly mirror?: boolean
  /** Milliseconds between two blocks of a copy, so that it takes long. */
  readonly copyDelayMs?: number
}

export interface ObserverReport {
  readonly status: string
  readonly reason: string
  /** Every status and reason that it went through, in order. */
  readonly history: readonly string[]
  readonly complete: boolean
  readonly losses: readonly string[]
  readonly copies: number
  readonly copyFailures: readonly string[]
  readonly crossings: number
  readonly commits: number
  readonly pageCount: number
  readonly unexpected: readonly string[]
  /** How often the follower asked how long it may wait: once a round at least. */
  readonly looks: number
  readonly walBytesMax: number
  readonly iChange: number
}

const pool = new ChunkPool(48 << 20)
const abort = new AbortController()
const mirror = new Mirror()
const history: string[] = []
const unexpected: string[] = []
const copyFailures: string[] = []
let follower: Follower | undefined
let keeping: Promise<void> | undefined
let copies = 0
let walBytesMax = 0
let looks = 0
let wakeKeeper: () => void = () => {}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

function* imagesOf(changes: Changeset): Generator<[number, Buffer]> {
  for (const page of changes.pages(0xffffffff)) {
    const image = Buffer.alloc(changes.pageSize)
    changes.read(page, image)
    yield [page, image]
  }
}

/** Copies, follows, and copies again after a loss, until it is told to stop. */
async function keepMirror(source: Follower, { spoolDirectory, copyDelayMs }: ObserverOptions): Promise<void> {
  while (!abort.signal.aborted) {
    const copy = new DatabaseCopy(source, pool, spoolDirectory, abort.signal)
    const lost = new Promise<void>((resolve) => {
      mirror.onLost = resolve
      wakeKeeper = resolve
    })
    try {
      mirror.beginCopy()
      const end = async ({ state, changes }: { state: Parameters<Mirror['endCopy']>[0]; changes: Changeset }) => {
        mirror.endCopy(state, imagesOf(changes))
        changes.clear()
      }
      for await (const block of copy.pages(mirror, end, () => {})) {
        mirror.appendCopied(block)
        if (copyDelayMs) await sleep(copyDelayMs)
      }
      copies++
    } catch (error) {
      if (!abort.signal.aborted) copyFailures.push(messageOf(error))
      await sleep(20)
      continue
    } finally {
      copy.close()
    }
    await lost
  }
}

serve({
  start(argument: ObserverOptions) {
    const note = () => {
      if (!follower) return
      const entry = `${follower.status}: ${follower.reason}`
      if (history.at(-1) !== entry) history.push(entry)
      // Only a look at its size: a descriptor of ours that is closed would cost SQLite's locks.
      walBytesMax = Math.max(walBytesMax, statSync(`${argument.path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    }
    const log = {
      ...silentLogger,
      debug: note,
      warn: note,
      error(message: string, attributes?: Readonly<Record<string, unknown>>) {
        unexpected.push(`${message}: ${attributes?.error instanceof Error ? attributes.error.stack : ''}`)
      },
    }
    follower = new Follower({
      path: argument.path,
      get monitorIntervalMs() {
        looks++
        return argument.monitorIntervalMs ?? 100
      },
      minCheckpointPageCount: argument.minCheckpointPageCount ?? 1000,
      maxCheckpointPageCount: 10_000,
      maxWalBytes: argument.maxWalBytes ?? 128 << 20,
      allowCheckpoint: argument.allowCheckpoint ?? false,
      pool: new ChunkPool(argument.memoryBytes ?? 48 << 20),
      spoolDirectory: argument.spoolDirectory,
      source: systemSource,
      windowTurns: new WindowTurns(),
      clock: systemClock,
      log,
    })
    follower.start()
    setInterval(note, 5).unref()
    if (argument.mirror ?? true) keeping = keepMirror(follower, argument)
  },

  nowReport(): ObserverReport {
    if (!follower) throw new Error('not started')
    const source = mirror.state?.source
    return {
      status: follower.status,
      reason: follower.reason,
      history,
      complete: mirror.complete,
      losses: mirror.losses,
      copies,
      copyFailures,
      crossings: mirror.crossings,
      commits: mirror.commits,
      pageCount: mirror.state?.pageCount ?? 0,
      walBytesMax,
      unexpected,
      looks,
      iChange: source && 'cursor' in source ? source.cursor.iChange : -1,
    }
  },

  /** Writes the mirror as it is at this moment, without stopping. False while there is no whole one. */
  nowSave(file: string): boolean {
    if (!mirror.complete) return false
    writeFileSync(file, mirror.contents())
    return true
  },

  /** The mirror counts for nothing; take a new copy. */
  nowCopyAgain() {
    follower?.leave(mirror)
    mirror.lost('a new copy was asked for')
  },

  /** The last look, then the end. */
  async stop() {
    await follower?.stop()
    abort.abort(new Error('stopped'))
    wakeKeeper()
    await keeping
  },
})
