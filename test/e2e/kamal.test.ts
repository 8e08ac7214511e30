// docs/kamal.md, executed: the accessory as pasted, everyday lines, redeployments, and disaster recovery by the line, with Docker used
// as Kamal uses it (test/support/containers/kamal.ts). The application runs as 1000:1000 and checks itself.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, test } from 'vitest'
import { prepareImages } from '../support/containers/docker.js'
import { KamalHost, kamalDocument } from '../support/containers/kamal.js'
import { needDocker } from '../support/programs.js'
import { until } from '../support/until.js'

beforeAll(prepareImages, 25 * 60_000)

const STORAGE = '/rails/storage'
const PRODUCTION = `${STORAGE}/production.sqlite3`
const OTHERS = ['cache', 'queue', 'cable'].map((name) => `${STORAGE}/production_${name}.sqlite3`)
const MINUTES = 60_000

/** The lines of the table under "Every day". */
const LINES = {
  logs: 'kamal accessory logs litestream',
  details: 'kamal accessory details litestream',
  databases: 'kamal accessory exec --reuse litestream "litestream databases"',
  status: 'kamal accessory exec --reuse litestream "litestream status"',
  generations: `kamal accessory exec --reuse litestream "litestream generations ${PRODUCTION}"`,
  databasesInNew: 'kamal accessory exec litestream databases',
  databasesTwice: 'kamal accessory exec litestream litestream databases',
  reboot: 'kamal accessory reboot litestream',
}

/** A version of the application: four databases; in the first it writes until there are `count` transactions. */
async function deploy(host: KamalHost, count: number): Promise<void> {
  const application = await host.deploy('rails', STORAGE, String(count))
  await application.line(/^all written/)
}

/** The volume of a new server belongs to the application's user, as Rails' image makes it. */
async function hostWithVolume(context: Parameters<typeof KamalHost.create>[0]): Promise<KamalHost> {
  await needDocker(context)
  const host = await KamalHost.create(context)
  const made = await host.line(
    'docker run --rm --volume myapp_storage:/rails/storage --entrypoint chown registry.example.com/litestream-node 1000:1000 /rails/storage',
  )
  expect(made.code, made.stderr).toBe(0)
  return host
}

describe('every day', () => {
  test(
    'boot, health, exec, logs, a deploy with both containers, reboot',
    async (context) => {
      const host = await hostWithVolume(context)
      expect(Object.values(LINES).filter((line) => !kamalDocument.has(line))).toEqual([])
      await host.block('`clear: { BUCKET_NAME')
      await host.logged(/no database found yet/)
      await deploy(host, 40)
      await host.untilHealthy()

      const table = (await host.line(LINES.databases)).stdout
      expect(table.split(/\s+/)).toEqual([
        'path',
        'replicas',
        ...[PRODUCTION, ...OTHERS].flatMap((path) => [path, 's3']),
        '',
      ])
      // The last commits may still be on their way.
      let status = await host.line(LINES.status)
      const settled = async () => {
        status = await host.line(LINES.status)
        return status.stdout.match(/^s3 +ok +0s /gm)?.length === 4
      }
      await until(settled, { what: 'four replicas to be ok' })
      expect([status.code, status.stderr]).toEqual([0, ''])
      for (const path of [PRODUCTION, ...OTHERS]) expect(status.stdout).toContain(`${path}: ok (`)
      expect(await host.line(LINES.databasesInNew)).toMatchObject({ code: 0, stdout: table })
      expect(await host.line(LINES.databasesTwice)).toMatchObject({ code: 0, stdout: table })
      expect((await host.line(LINES.details)).stdout).toContain('(healthy)')
      const { stdout: shown } = await host.line(LINES.logs)
      expect(shown.match(/snapshot written/g)).toHaveLength(4)

      const second = await host.deploy('rails', STORAGE, '80')
      await second.line(/^\d+ /)
      await host.stopOldest()
      await second.line(/^all written/)
      expect((await host.logs()).match(/sync: new generation/g)).toHaveLength(4)

      expect((await host.line(LINES.reboot)).code).toBe(0)
      await host.logged(/(continuing generation[\s\S]*){4}/)
      const { code, stdout: generations } = await host.line(LINES.generations)
      expect([code, generations.trim().split('\n').length]).toEqual([0, 2])
      await host.untilHealthy()
    },
    4 * MINUTES,
  )
})

describe('disaster recovery, by the line', () => {
  test(
    'newest state, a moment in the past, a copy, a lost volume',
    async (context) => {
      const host = await hostWithVolume(context)
      await host.line('kamal accessory boot litestream')
      await deploy(host, 40)
      await host.logged(/(snapshot written[\s\S]*){4}/)
      const state = async () => (await host.ask('state', PRODUCTION)).trim()

      // Look first: nothing is written.
      const before = await host.ask('list', STORAGE)
      expect(await host.block('**Look first.**')).toContain('production.sqlite3')
      expect(await host.ask('list', STORAGE)).toBe(before)
      // In use: refused, and nothing has moved.
      const inUse = await host.line(`litestream restore -replace ${PRODUCTION}`)
      expect([inUse.code, inUse.stdout]).toEqual([1, ''])
      expect(await host.ask('list', STORAGE)).toBe(before)

      // The newest state, over what is there.
      await deploy(host, 60)
      await host.stopOldest()
      const newest = await state()
      await host.block('**The newest state, over what is there.**')
      expect(await state()).toBe(newest)
      const files = (await host.ask('list', STORAGE)).trim().split('\n')
      expect(files.filter((line) => !/ 1000:1000 /.test(line))).toEqual([])
      // The old one is still there, under a name with the time.
      expect(files.filter((line) => line.startsWith('production.sqlite3.replaced-')).length).toBeGreaterThan(0)

      // A moment in the past: what came after it is not there.
      await host.logged(new RegExp(`(snapshot written.*${PRODUCTION}[\\s\\S]*){2}`))
      const moment = new Date().toISOString()
      await deploy(host, 70)
      expect(await state()).not.toBe(newest)
      await host.block('**A moment in the past**', (line) => line.replace('2025-01-15T10:30:00Z', moment))
      expect(await state()).toBe(newest)

      // A copy to look at, while everything runs.
      await host.block('**A copy to look at**')
      const copy = new Database(join(host.home, 'copy.sqlite3'), { readonly: true })
      expect(copy.pragma('integrity_check', { simple: true })).toBe('ok')
      copy.close()

      // The volume is lost, with the server: only what Kamal uploads and the bucket are left.
      await host.line('kamal accessory stop litestream')
      await host.loseVolume()
      await host.line('kamal accessory boot litestream')
      await host.block('**The volume, or the server, is lost.**')
      expect(await state()).toBe(newest)
      const restored = (await host.ask('list', STORAGE)).trim().split('\n')
      expect(restored.filter((line) => !/ 1000:1000 /.test(line))).toEqual([])
      expect(restored.map((line) => line.split(' ')[0])).toEqual(
        expect.arrayContaining(['.', ...[PRODUCTION, ...OTHERS].map((path) => path.slice(STORAGE.length + 1))]),
      )
      // At every boot: there is a database, so nothing is done.
      expect(await host.block('**An empty volume at every boot**')).toContain('database already exists, skipping')
      // The application goes on with it.
      await deploy(host, 75)
      await host.untilHealthy()
    },
    6 * MINUTES,
  )

  test(
    'lines of other guides fail as the table says',
    async (context) => {
      const host = await hostWithVolume(context)
      const wrong = await host.line(
        `docker run --rm -v myapp_storage:/rails/storage -e LITESTREAM_ACCESS_KEY_ID=x registry.example.com/litestream-node restore -config /etc/litestream.yml ${PRODUCTION}`,
      )
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        expect.stringContaining('config file not found: /etc/litestream.yml'),
      ])
      await host.ask('fill', PRODUCTION, '1')
      await host.line('kamal accessory boot litestream')
      await host.logged(/snapshot written/)
      await host.line('kamal accessory stop litestream')
      const over = await host.line(`litestream restore ${PRODUCTION}`)
      expect([over.code, over.stderr]).toEqual([1, expect.stringContaining('output path already exists')])
      const readOnly = await host.line(
        `kamal accessory exec litestream "restore -o ${STORAGE}/copy.sqlite3 ${PRODUCTION}"`,
      )
      expect([readOnly.code, readOnly.stderr]).toEqual([1, expect.stringMatching(/read-only file system|EROFS/i)])
      expect(existsSync(join(host.home, 'copy.sqlite3'))).toBe(false)
    },
    3 * MINUTES,
  )
})
