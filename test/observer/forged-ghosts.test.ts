// Random histories between two looks while no pin is held, with forged ghosts in them: the tracker may say that continuity was lost,
// but what it calls proven is exactly the database. LITESTREAM_GHOST_RUNS=20000 makes it a long run.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MOUNTS, needNamespaces } from '../support/observer/child.js'
import { differingPages, makeScene } from '../support/observer/scene.js'
import { forgeGhost, startTracker } from '../support/observer/tracker.js'

const RUNS = Number(process.env.LITESTREAM_GHOST_RUNS ?? 250)

type Step =
  | { readonly do: 'commit'; readonly connection: number; readonly table: number; readonly times: number }
  | { readonly do: 'ghost' }
  | { readonly do: 'checkpoint'; readonly connection: number; readonly mode: 'PASSIVE' | 'RESTART' | 'TRUNCATE' }
  | { readonly do: 'reopen'; readonly connection: number }

const connection = fc.integer({ min: 0, max: 1 })
const commits = fc.record({
  do: fc.constant('commit' as const),
  connection,
  table: fc.integer({ min: 1, max: 3 }),
  times: fc.integer({ min: 1, max: 3 }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: commits },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ghost' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('checkpoint' as const),
      connection,
      mode: fc.constantFrom('PASSIVE' as const, 'RESTART' as const, 'RESTART' as const, 'TRUNCATE' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const), connection }) },
)
const history = fc.record({
  before: fc.array(commits, { maxLength: 6 }),
  between: fc.array(step, { minLength: 1, maxLength: 8 }),
})

describe.each(MOUNTS)('on a %s mount', (mount) => {
  test('no history makes the tracker call a wrong state proven', { timeout: 60_000 + RUNS * 100 }, async (context) => {
    needNamespaces(context, mount)
    const scene = makeScene()
    const tracker = await startTracker(scene, mount)
    const counts = { crossings: 0, proven: 0, lost: 0, ghosts: 0 }
    let run = 0
    await fc.assert(
      fc.asyncProperty(history, async ({ before, between }) => {
        const path = join(scene.volume, `ghosts-${++run}.db`)
        const open = () => {
          const database = new Database(path)
          database.pragma('journal_mode = wal')
          database.pragma('synchronous = off')
          database.pragma('wal_autocheckpoint = 0')
          return database
        }
        // One more connection than is closed and opened again: nobody recovers the wal-index.
        const holder = open()
        for (const table of [1, 2, 3]) holder.exec(`create table t${table}(x); insert into t${table} values(0)`)
        const connections = [open(), open()]
        let value = 0
        const take = async (taken: Step) => {
          const database = 'connection' in taken ? connections[taken.connection]! : holder
          if (taken.do === 'commit') {
            for (let i = 0; i < taken.times; i++) database.prepare(`update t${taken.table} set x = ?`).run(++value)
          } else if (taken.do === 'checkpoint') {
            database.pragma(`wal_checkpoint(${taken.mode})`)
          } else if (taken.do === 'reopen') {
            database.close()
            connections[taken.connection] = open()
          } else if (forgeGhost(`${path}-wal`, await tracker.header(), ++value)) {
            counts.ghosts++
          }
        }
        try {
          for (const taken of before) await take(taken)
          expect(await tracker.attach(path)).toEqual({ pinned: true, attached: true, anchored: true })
          await tracker.load(holder.serialize())
          const start = await tracker.cursor()
          await tracker.releasePin()
          for (const taken of between) await take(taken)
          expect(await tracker.takePin()).toBe(true)
          const look = await tracker.look()
          const end = await tracker.header()
          const crossed = end.salt1 !== start.salt1 || end.salt2 !== start.salt2
          if (crossed) counts.crossings++
          if (look.outcome === 'lost') {
            counts.lost++
            return
          }
          expect(look.outcome).not.toBe('wait')
          if (crossed) counts.proven++
          expect(differingPages(holder.serialize(), await tracker.contents())).toEqual([])
        } finally {
          await tracker.close()
          for (const database of [holder, ...connections]) database.close()
          for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
        }
      }),
      { numRuns: RUNS },
    )
    console.info(`${mount}: ${JSON.stringify(counts)}`)
    // Both answers must have been given, or the histories were no test.
    expect(counts.proven).toBeGreaterThan(RUNS / 10)
    expect(counts.lost).toBeGreaterThan(0)
    expect(counts.ghosts).toBeGreaterThan(0)
  })
})
