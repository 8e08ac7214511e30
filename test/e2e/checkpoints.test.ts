// An application that never checkpoints: the daemon says so, and checkpoints for it only where the configuration allows it. One that
// does is left alone.

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { App, expectGoodEnd, fileTarget, linesWith, restoredRows, startWithConfig } from './replicating.js'

const PAGES_MAX = 100

async function replicating(keys: string) {
  const directory = tempDirectory('checkpoints')
  const app = new App(join(directory, 'app.db'))
  app.neverCheckpoint()
  const replica = join(directory, 'replica')
  const yaml = `dbs: [{path: ${app.path}, ${keys}, replicas: [{path: ${replica}, sync-interval: 50ms}]}]`
  const daemon = await startWithConfig(directory, yaml)
  /** Commits until the log has such a line; the WAL is far past PAGES_MAX by then. */
  const writeUntil = async (message: string) => {
    let count = 0
    const told = () => {
      for (let i = 0; i < 20; i++) app.write(`row ${count++}`)
      return daemon.stdout().includes(message)
    }
    await until(told, { what: `the log to say ${message}`, timeoutMs: 60_000, intervalMs: 20 })
  }
  const stop = async () => {
    const end = await daemon.stop()
    expectGoodEnd(end)
    expect(await restoredRows(fileTarget(replica), directory)).toEqual(app.rows)
    return end.stdout
  }
  return { app, writeUntil, stop }
}

test('allow-checkpoint: a PASSIVE checkpoint lets the WAL begin anew', async () => {
  const { app, writeUntil, stop } = await replicating(`max-checkpoint-page-count: ${PAGES_MAX}, allow-checkpoint: true`)
  await writeUntil('msg=checkpoint')
  const bytes = statSync(`${app.path}-wal`).size
  // The next commits go to the beginning of the file, which therefore does not grow.
  for (let i = 0; i < 20; i++) app.write(`after ${i}`)
  expect(statSync(`${app.path}-wal`).size).toBe(bytes)
  const log = await stop()
  expect(log).toContain('mode=PASSIVE')
  expect(linesWith(log, 'sync: new generation')).toHaveLength(1)
})

test('without it the log says once what to do, and nothing is checkpointed', async () => {
  const { app, writeUntil, stop } = await replicating(`max-checkpoint-page-count: ${PAGES_MAX}`)
  const before = statSync(app.path).size
  await writeUntil('never checkpoints')
  const log = await stop()
  expect(statSync(app.path).size).toBe(before)
  expect(linesWith(log, 'level=WARN', 'never checkpoints', 'allow-checkpoint')).toHaveLength(1)
  expect(log).not.toContain('msg=checkpoint')
})
