// Two daemons on one replica by mistake, with short retentions: the generation of the one that is idle looks as if it had ended, and the
// other one's retention deletes it. With its next commit the idle one is in the replica again, at once.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Running } from '../support/process.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  filesBelow,
  fileTarget,
  linesWith,
  startWithConfig,
  untilReplicated,
} from './replicating.js'

test('what an idle writer commits next can be restored', async () => {
  const directory = tempDirectory('idle-writer')
  const replica = join(directory, 'replica')
  const target = fileTarget(replica)
  const side = (name: string): { readonly app: App; start(): Promise<Running> } => {
    const folder = join(directory, name)
    mkdirSync(folder)
    const app = new App(join(folder, 'volume', 'app.db'))
    const yaml = `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{path: ${replica}, sync-interval: 20ms, snapshot-interval: 200ms, retention: 2s, retention-check-interval: 200ms}]}]\n`
    return { app, start: () => startWithConfig(folder, yaml) }
  }
  const [idle, busy] = [side('idle'), side('busy')]
  const first = await idle.start()
  idle.app.write('before the pause')
  await untilReplicated(idle.app, target, directory)
  const generation = /generations\/(\w+)/.exec(filesBelow(replica).join())?.[1] as string
  const second = await busy.start()
  await until(
    () => {
      busy.app.write(`meanwhile ${busy.app.rows.length}`)
      return !filesBelow(replica).some((name) => name.includes(generation))
    },
    { what: `the other one's retention to delete ${generation}` },
  )
  expectGoodEnd(await second.stop())
  idle.app.write('after the pause')
  await untilReplicated(idle.app, target, directory)
  const end = await first.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'another writer has gone on', 'whoever has deleted its snapshots')).toHaveLength(1)
  expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(2)
  expect(linesWith(end.stdout, 'level=ERROR')).toEqual([])
}, 60_000)
