// The tracker without the loop around it, as a process: each look, pin and release happens when it is called for. For attacks that
// need an observer at one certain moment.

import { readFileSync, writeFileSync } from 'node:fs'
import { systemClock } from '../../../src/clock.js'
import type { WalCursor } from '../../../src/model/provenance.js'
import { type Look, WalTracker } from '../../../src/replicate/wal-tracker.js'
import { DatabaseFiles } from '../../../src/source/files.js'
import { LiveDatabase } from '../../../src/source/live-database.js'
import { systemSource } from '../../../src/source/source.js'
import { ChunkPool } from '../../../src/source/spool.js'
import type { WalIndexHeader } from '../../../src/sqlite/wal-index.js'
import { Mirror } from './mirror.js'
import { serve } from './serve.js'

export interface Attached {
  /** SQLite let us read. */
  readonly pinned: boolean
  /** Our process holds the dead-man-switch lock. */
  readonly attached: boolean
  /** The tracker found a commit to stand at. */
  readonly anchored: boolean
}

const pool = new ChunkPool(48 << 20)
let files: DatabaseFiles | undefined
let live: LiveDatabase | undefined
let tracker: WalTracker | undefined
let mirror = new Mirror()

const theFiles = () => files as DatabaseFiles
const theLive = () => live as LiveDatabase
const theTracker = () => tracker as WalTracker

serve({
  async attach(path: string): Promise<Attached> {
    const opened = DatabaseFiles.open(path)
    if (!(opened instanceof DatabaseFiles)) throw new Error(opened.reason)
    files = opened
    const header = files.header().header
    if (!header || !files.openLive()) throw new Error('not in WAL mode, or no WAL')
    const database = new LiveDatabase(files, systemSource)
    live = database
    const pinned = live.takePin()
    tracker = new WalTracker(files, header.pageSize, {
      pool,
      clock: systemClock,
      attached: () => database.attached(),
      protected: () => database.pin === 'read-mark',
    })
    return { pinned, attached: live.attached(), anchored: await tracker.anchor() }
  },

  anchor: () => theTracker().anchor(),

  /** The mirror is the database as `file` holds it, and this is what the tracker stands at. */
  load(file: string) {
    const state = theTracker().state()
    if (!state) throw new Error('no state')
    mirror = new Mirror()
    mirror.beginCopy()
    mirror.appendCopied(readFileSync(file))
    mirror.endCopy(state, [])
    theTracker().sinks.add(mirror)
  },

  /** Resume a mirror that holds `file` and stood at `cursor`: true, or why not. */
  async resume({ file, cursor }: { file: string; cursor: WalCursor }): Promise<true | string> {
    const state = theTracker().state()
    if (!state) throw new Error('no state')
    mirror = new Mirror()
    mirror.beginCopy()
    const contents = readFileSync(file)
    mirror.appendCopied(contents)
    mirror.endCopy({ ...state, pageCount: contents.length / state.pageSize, source: { cursor } }, [])
    return await theTracker().join(mirror, cursor)
  },

  /** Looks until there is an answer, at most 50 times. */
  async look(): Promise<Look> {
    let look: Look = { outcome: 'wait' }
    for (let i = 0; i < 50 && look.outcome === 'wait'; i++) look = await theTracker().look()
    return look
  },

  takePin: () => theLive().takePin(),
  leapfrog: () => theLive().takePin(true),
  releasePin: () => theLive().releasePin(),
  place: () => theLive().pin,
  attached: () => theLive().attached(),
  cursor: (): WalCursor | undefined => theTracker().cursor,
  crossings: () => theTracker().crossings,
  header: (): WalIndexHeader | undefined => theFiles().walIndex(),
  losses: () => mirror.losses,

  save(file: string): boolean {
    if (!mirror.complete) return false
    writeFileSync(file, mirror.contents())
    return true
  },

  async close() {
    live?.close()
    await files?.close()
    files = undefined
    live = undefined
    tracker = undefined
  },
})
