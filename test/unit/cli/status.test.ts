// `litestream status` on a replica in a directory: from the replica alone, and with what a daemon says.

import { utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { loadConfig } from '../../../src/config/load.js'
import { socketPlaces } from '../../../src/control/place.js'
import { controlHandlers } from '../../../src/control/requests.js'
import { ControlServer } from '../../../src/control/server.js'
import { silentLogger } from '../../../src/logger.js'
import { FileClient } from '../../../src/replica/file-client.js'
import { Daemon } from '../../../src/replicate/daemon.js'
import { systemSource } from '../../../src/source/source.js'
import { inProcess } from '../../support/in-process.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

const command = (name: string, cwd: string, args: readonly string[]) =>
  inProcess([name, '-config', 'l.yml', ...args], { cwd })
const status = (cwd: string, ...args: string[]) => command('status', cwd, args)

test('a daemon tells how far behind it is; without one the replica tells what it holds', async () => {
  const cwd = tempDirectory('status')
  const [path, replica] = [join(cwd, 'app.db'), join(cwd, 'replica')]
  writeFileSync(
    join(cwd, 'l.yml'),
    `socket: {path: ${cwd}/run/c.sock}\ndbs: [{path: ${path}, replicas: [{path: ${replica}}]}]\n`,
  )
  expect(await status(cwd)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(`${path}: unreadable (there is no`),
  })
  const application = new Database(path)
  onTestFinished(() => void application.close())
  application.pragma('journal_mode = WAL')
  application.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  expect((await status(cwd)).stdout).toContain('nothing can be restored from it')

  const config = await loadConfig({ path: join(cwd, 'l.yml'), env: {}, cwd, expandEnv: true })
  const [database] = config.databases
  const [settings] = database!.replicas
  const daemon = new Daemon({
    databases: [{ ...database!, replicas: [{ ...settings!, client: new FileClient({ path: replica }) }] }],
    source: systemSource,
    clock: systemClock,
    randomHex: (bytes) => 'ab'.repeat(bytes),
    log: silentLogger,
  })
  daemon.start()
  const server = await ControlServer.start(socketPlaces(config), controlHandlers(daemon), silentLogger)
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await server?.stop()
    await daemon.stop(5000)
  }
  onTestFinished(stop)
  await until(() => daemon.report().healthy, { what: 'the first snapshot' })

  const time = expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const live = await status(cwd, '-json', path)
  expect(live).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(live.stdout)).toEqual({
    daemon: { running: true, pid: process.pid, version: expect.any(String) },
    databases: [
      {
        path,
        state: 'ok',
        reason: expect.any(String),
        bytes: expect.any(Number),
        walBytes: expect.any(Number),
        wal: { frames: expect.any(Number), backfilled: expect.any(Number) },
        walReaders: expect.any(Array),
        replicas: [
          {
            name: 'file',
            type: 'file',
            state: 'ok',
            reason: 'everything is in the replica',
            secondsBehind: 0,
            bytesBehind: 0,
            lastUpload: time,
            lastSnapshot: time,
            oldestRestorable: time,
            newestRestorable: time,
            bytes: expect.any(Number),
            objects: expect.any(Number),
            position: expect.stringMatching(/^(ab){8}\/0{8}:\d+$/),
          },
        ],
      },
    ],
  })
  expect((await status(cwd)).stdout).toMatch(/\nreplica +state +behind .*\nfile +ok +0s +0 B/)

  // A checkpoint changes the file, not the database: that is no lag.
  const lag = async () => (await command('generations', cwd, ['app.db'])).stdout.split('\n')[1]?.split(/ +/)[2]
  expect(await lag()).toBe('0s')
  application.pragma('wal_checkpoint(PASSIVE)')
  const later = Date.now() / 1000 + 3600
  utimesSync(path, later, later)
  expect(await lag()).toBe('0s')

  await stop()
  application.exec('INSERT INTO t VALUES (2)')
  expect(await lag()).toMatch(/^(1h0m|59m)\d+s$/)
  const alone = await status(cwd, '-json')
  expect(alone.code).toBe(0)
  const told = JSON.parse(alone.stdout)
  expect(told.daemon).toEqual({ running: false })
  expect(told.databases[0]).toMatchObject({
    state: 'readable',
    replicas: [{ state: 'restorable', newestRestorable: time }],
  })
  expect(told.databases[0].replicas[0]).not.toHaveProperty('secondsBehind')
  expect(await status(cwd, 'other.db')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not found in config'),
  })
})
