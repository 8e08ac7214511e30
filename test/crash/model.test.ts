// The crash test's own eyes: what the application really committed equals the model, and whatever is not a committed state is noticed.

import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { ApplicationProcess, compileApplication } from './application-process.js'
import { differenceOf, Model, readState } from './model.js'
import type { Workload } from './workload.js'

const workload: Workload = { seed: 7, pageSize: 1024, autoVacuum: 1, ballastBytes: 300_000 }

/** The database after some transactions, in which the application was killed and came back. */
async function written(commits: number): Promise<{ path: string; directory: string; n: number }> {
  const directory = tempDirectory('model')
  const path = join(directory, 'app.db')
  const script = compileApplication(join(directory, 'application'))
  const options = { path, workload, autoCheckpoint: 50, synchronous: 'NORMAL', paceMs: 1, vacuum: 0.02 } as const
  const application = new ApplicationProcess(script, { ...options, paused: false })
  onTestFinished(() => application.kill())
  await application.start()
  await until(() => application.acknowledged >= commits / 2)
  await application.kill()
  await application.start()
  await until(() => application.acknowledged >= commits)
  await application.close()
  expect(application.failure).toBeUndefined()
  return { path, directory, n: application.acknowledged }
}

test('the application and the model agree, and nothing else passes for a committed state', async () => {
  const { path, directory, n } = await written(300)
  const state = readState(path)
  expect(state.n).toBe(n)
  expect(differenceOf(state, new Model(workload).stateAt(n))).toBeUndefined()

  const tampered = (sql: string): string | undefined => {
    const copy = join(directory, 'tampered.db')
    copyFileSync(path, copy)
    const database = new Database(copy)
    expect(database.prepare(sql).run().changes).toBeGreaterThan(0)
    database.close()
    const found = readState(copy)
    return differenceOf(found, new Model(workload).stateAt(found.n))
  }
  expect(tampered('DELETE FROM items WHERE id = (SELECT max(id) FROM items)')).toContain('found')
  expect(tampered('DELETE FROM pairs WHERE name = (SELECT min(name) FROM pairs)')).toContain('found')
  expect(tampered('UPDATE items SET tag = tag + 1 WHERE id = (SELECT min(id) FROM items)')).toContain('found "item')
  expect(tampered("UPDATE history SET chain = 'x' WHERE n = (SELECT max(n) FROM history)")).toContain('found "history')
  expect(tampered('UPDATE ballast SET body = zeroblob(65536) WHERE id = 2')).toContain('found "ballast')
  // The state of one transaction with the number of another: a commit that was left out.
  expect(tampered('UPDATE counter SET n = n - 1')).toContain('found')
  expect(tampered('UPDATE counter SET n = n + 1')).toContain('found')
})

test('a page of an older state is noticed', async () => {
  const { path, directory } = await written(100)
  const older = join(directory, 'older.db')
  copyFileSync(path, older)
  const database = new Database(path)
  database.exec("UPDATE items SET body = zeroblob(900); UPDATE pairs SET value = 'other'; UPDATE counter SET n = n + 1")
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  const [now, then] = [readFileSync(path), readFileSync(older)]
  let noticed = 0
  let differing = 0
  for (let at = 1024; at < Math.min(now.length, then.length); at += 1024) {
    const [page, old] = [now.subarray(at, at + 1024), then.subarray(at, at + 1024)]
    if (page.equals(old)) continue
    differing++
    const mixed = join(directory, `mixed-${at}.db`)
    copyFileSync(path, mixed)
    const fd = openSync(mixed, 'r+')
    writeSync(fd, old, 0, old.length, at)
    closeSync(fd)
    try {
      const found = readState(mixed)
      if (differenceOf(found, readState(path))) noticed++
    } catch {
      noticed++
    }
    if (differing === 25) break
  }
  expect(differing).toBeGreaterThan(5)
  // Free pages may hold anything; every other one shows.
  expect(noticed).toBeGreaterThan(differing / 2)
})
