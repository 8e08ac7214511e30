// A WAL in which nothing was written yet looks like any other such WAL: it does not tell whether the database is still the one that
// was replicated. Found by the simulator, where a generation was continued over commits that nobody had read.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDirectory } from '../support/temp.js'
import { App, expectGoodEnd, fileTarget, linesWith, startWithConfig, untilReplicated } from './replicating.js'

test('what was committed while the daemon was away is not passed over between two empty WALs', async () => {
  const directory = tempDirectory('empty-wal')
  const app = new App(join(directory, 'storage', 'app.db'))
  const replica = join(directory, 'replica')
  const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{path: ${replica}, sync-interval: 20ms}]}]\n`
  /** The last connection takes the WAL away, the next one makes an empty one. */
  const comeAnew = (): void => {
    app.close()
    app.reopen()
  }
  app.write('before')
  comeAnew()
  const first = await startWithConfig(directory, yaml)
  await untilReplicated(app, fileTarget(replica), directory)
  expectGoodEnd(await first.stop())

  app.write('while nobody watched')
  comeAnew()
  const second = await startWithConfig(directory, yaml)
  await untilReplicated(app, fileTarget(replica), directory)
  app.write('while it is watched again')
  await untilReplicated(app, fileTarget(replica), directory)
  const end = await second.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'sync: new generation', 'was empty')).toHaveLength(1)
})
