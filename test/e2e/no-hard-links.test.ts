// A replica in a directory of a file system without hard links: nothing there fails when a name is taken, so nothing shows another
// writer. The daemon says so, and goes on with a generation only when the last writer left the mark of a clean stop.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { preload } from '../support/preload.js'
import type { Running } from '../support/process.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import {
  App,
  expectGoodEnd,
  filesBelow,
  fileTarget,
  linesWith,
  restoredRows,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

test('it is said, and only a clean stop lets a generation go on', async (context) => {
  const directory = tempDirectory('no-links')
  const env = preload(context, directory, 'test/support/no-links.c')
  const app = new App(join(directory, 'storage', 'app.db'))
  const replica = join(directory, 'replica')
  const target = fileTarget(replica)
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`
  const start = (): Promise<Running> => startWithConfig(directory, yaml, [], { env })
  const generations = (log: string): number => linesWith(log, 'sync: new generation').length

  const first = await start()
  app.write('first')
  await untilReplicated(app, target, directory)
  app.write('second')
  await untilReplicated(app, target, directory)
  const end = await first.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'level=WARN', 'no conditional writes')).toHaveLength(1)
  expect(linesWith(end.stdout, 'level=ERROR')).toEqual([])
  expect(filesBelow(replica)).toContain('litestream-node/clean-stop.json')

  const second = await start()
  await second.waitForLine(/continuing generation/)
  app.write('behind the mark')
  await untilReplicated(app, target, directory)
  expect(generations(second.stdout())).toBe(0)
  second.kill('SIGKILL')
  await second.finished

  const third = await start()
  await third.waitForLine(/sync: new generation.*no mark says that the last writer has stopped/)
  app.write('in a generation of its own')
  await untilReplicated(app, target, directory)
  expectGoodEnd(await third.stop())
  expect(await restoredRows(target, directory)).toEqual(app.rows)
  // Nothing half-written is left, and no probe.
  expect(filesBelow(replica).filter((name) => /\.tmp-|probe/.test(name))).toEqual([])

  const doctor = await runOurs(['doctor', '-config', join(directory, 'litestream.yml')], { env })
  expect(doctor.stdout + doctor.stderr).toMatch(/conditional|hard link/i)
}, 60_000)
