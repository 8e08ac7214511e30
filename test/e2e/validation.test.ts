// `validation-interval` with the real command: no false alarm while an application writes and checkpoints as it likes, and damage that
// was planted in the replica is found and healed.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openReplica } from '../../src/replica/open.js'
import { runReal } from '../support/litestream-real.js'
import { tamperWithPage } from '../support/tamper.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  linesWith,
  messagesOf,
  segmentsIn,
  snapshotsIn,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

function setUp() {
  const directory = tempDirectory('validation')
  const app = new App(join(directory, 'storage', 'app.db'))
  const replica = join(directory, 'replica')
  const fields = `path: ${replica}, sync-interval: 20ms, validation-interval: 20ms`
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{${fields}}]}]\n`
  return { directory, app, replica, yaml }
}

const countOf = (log: string, message: string): number => messagesOf(log).filter((one) => one === message).length

test('many rounds while the application writes and restarts its WAL: no false alarm', async () => {
  const { directory, app, replica, yaml } = setUp()
  const daemon = await startWithConfig(directory, yaml)
  await until(
    () => {
      app.write('x'.repeat(3000))
      if (app.rows.length % 40 === 0) app.restartWal('restarted')
      return countOf(daemon.output(), 'validated') >= 25
    },
    { what: '25 validations', timeoutMs: 120_000, intervalMs: 5 },
  )
  await untilReplicated(app, fileTarget(replica), directory)
  // Nothing changes any more: it is validated once more at most, and then left alone.
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'validation mismatch')).toEqual([])
  expect(linesWith(end.stdout, 'level=ERROR')).toEqual([])
  expect(app.rows.length).toBeGreaterThan(100)
}, 180_000)

test.for([
  {
    what: 'one page of the snapshot, with every checksum right',
    said: /error="1 of \d+ pages differ \(\d+\)"/,
    plant: async (replica: string) => {
      const client = await openReplica(fileTarget(replica))
      // Rows that stay as they are.
      await tamperWithPage(client, snapshotsIn(replica)[0] as string, 3, 4096)
      await client.close()
    },
  },
  {
    what: 'a byte of a segment',
    said: /error="generations\/\S+ is damaged: /,
    plant: async (replica: string) => {
      const path = join(replica, segmentsIn(replica)[0] as string)
      const bytes = readFileSync(path)
      bytes[bytes.length >> 2] = (bytes[bytes.length >> 2] as number) ^ 0x10
      writeFileSync(path, bytes)
    },
  },
])('damage in the replica is found and healed: $what', { timeout: 120_000 }, async ({ said, plant }) => {
  const { directory, app, replica, yaml } = setUp()
  // Three full pages of rows that stay as they are.
  for (let i = 0; i < 12; i++) app.write('y'.repeat(1000))
  const daemon = await startWithConfig(directory, yaml)
  await untilReplicated(app, fileTarget(replica), directory)
  await until(
    () => {
      app.write('another')
      return segmentsIn(replica).length > 0 && countOf(daemon.output(), 'validated') > 0
    },
    { what: 'a segment, and a validation', timeoutMs: 60_000, intervalMs: 50 },
  )
  await plant(replica)
  await until(
    () => {
      app.write('so that there is something to validate')
      return countOf(daemon.output(), 'validation mismatch') > 0
    },
    { what: 'the damage to be found', timeoutMs: 60_000, intervalMs: 50 },
  )
  const validated = countOf(daemon.output(), 'validated')
  await until(
    () => {
      app.write('and after')
      return snapshotsIn(replica).length === 2 && countOf(daemon.output(), 'validated') > validated
    },
    { what: 'the new generation to be found right', timeoutMs: 60_000, intervalMs: 50 },
  )
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  const found = linesWith(end.stdout, 'validation mismatch', 'level=ERROR')
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(said)
  expect(found[0]).toMatch(/position=[0-9a-f]{16}\/[0-9a-f]{8}:\d+/)
  expect(linesWith(end.stdout, 'sync: new generation', 'validation mismatch')).toHaveLength(1)
  const real = await runReal(['restore', '-o', join(directory, 'real.db'), `file://${replica}`])
  expect(real.code, real.stderr).toBe(0)
})
