// Places that are full or cannot be read: reported, survived, and over when the trouble is over. The small file systems live in a mount
// namespace of the daemon's own.

import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { expectGoodEnd, fileTarget, restoredRows, startThrough } from '../e2e/replicating.js'
import { keepSqlite, projectRoot } from '../support/make-dist.js'
import { needNamespaces } from '../support/observer/child.js'
import type { Running } from '../support/process.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { Heavy, sumIn } from './measured.js'

const NAMESPACE = ['unshare', '--user', '--map-root-user']

/** `replicate` behind `before`, shell commands in a mount namespace of its own. */
function startIn(directory: string, yaml: string, before: string, env: Record<string, string> = {}): Promise<Running> {
  const script = `${before}\nexec "$0" "$@"`
  return startThrough([...NAMESPACE, '--mount', 'sh', '-ec', script], directory, yaml, { env })
}

test('a temporary directory that is full while the replica cannot be reached', async (context) => {
  needNamespaces(context)
  const directory = tempDirectory('full')
  for (const name of ['source', 'tmp', 'store']) mkdirSync(join(directory, name))
  const replica = join(directory, 'store', 'replica')
  const heavy = new Heavy(join(directory, 'source', 'app.db'))
  onTestFinished(() => heavy.close())
  const yaml = `dbs:\n- path: ${heavy.path}\n  monitor-interval: 20ms\n  replicas:\n  - {path: ${replica}, sync-interval: 20ms}\n`
  const tmp = join(directory, 'tmp')
  const daemon = await startIn(directory, yaml, `mount -t tmpfs -o size=8m none "${tmp}"`, { TMPDIR: tmp })
  heavy.insert(1)
  await daemon.waitForLine(/snapshot written/)
  renameSync(dirname(replica), `${dirname(replica)}-aside`)
  writeFileSync(dirname(replica), '')
  // Until it is more than memory and the temporary directory take together.
  await until(
    () => {
      heavy.insertInPieces(8)
      return /cannot keep changed pages in/.test(daemon.output())
    },
    { what: 'the temporary directory to be full' },
  )
  rmSync(dirname(replica))
  renameSync(`${dirname(replica)}-aside`, dirname(replica))
  heavy.insert(1)
  const output = join(directory, 'restored.db')
  await until(
    async () => {
      rmSync(output, { force: true })
      const { code } = await runOurs(['restore', '-o', output, `file://${replica}`])
      return code === 0 && sumIn(output) === heavy.sum()
    },
    {
      timeoutMs: 90_000,
      intervalMs: 1500,
      what: 'everything to be caught up',
    },
  )
  expectGoodEnd(await daemon.stop())
}, 180_000)

test('a database directory that is full', async (context) => {
  needNamespaces(context)
  const directory = tempDirectory('full')
  const source = join(directory, 'source')
  mkdirSync(source)
  const replica = join(directory, 'replica')
  // Commits a row at a time until SQLite says that there is no room, and stays.
  writeFileSync(
    join(directory, 'filler.cjs'),
    `const Database = require('better-sqlite3')
const database = new Database(process.argv[2])
database.pragma('journal_mode = WAL')
database.exec('CREATE TABLE commits (name TEXT, body BLOB)')
const insert = database.prepare('INSERT INTO commits VALUES (?, randomblob(20000))')
let n = 0
const fill = () => {
  try {
    insert.run(\`commit \${n}\`)
    n++
    setTimeout(fill, 2)
  } catch (error) {
    console.log('FILLED', n, error.code)
    // Until the daemon, whose child it is, has ended.
    const parent = process.ppid
    setInterval(() => process.ppid === parent || process.exit(0), 50)
  }
}
setTimeout(fill, 800)
`,
  )
  const yaml = `dbs:\n- path: ${source}/app.db\n  monitor-interval: 20ms\n  replicas:\n  - {path: ${replica}, sync-interval: 20ms}\n`
  const fill = `NODE_PATH="${join(projectRoot, 'node_modules')}" "${process.execPath}" --require "${keepSqlite}" "${directory}/filler.cjs" "${source}/app.db" &`
  const daemon = await startIn(directory, yaml, `mount -t tmpfs -o size=6m none "${source}"\n${fill}`)
  const line = await daemon.waitForLine(/^FILLED \d+ SQLITE_FULL/)
  const rows = Array.from({ length: Number(/\d+/.exec(line)?.[0]) }, (_, i) => `commit ${i}`)
  expect(rows.length).toBeGreaterThan(10)
  const target = fileTarget(replica)
  await until(async () => (await restoredRows(target, directory))?.join() === rows.join(), {
    what: `${rows.length} rows in the replica`,
    intervalMs: 100,
  })
  daemon.kill('SIGTERM')
  await daemon.waitForLine(/litestream shut down/)
}, 120_000)

test('a database that may not be read', async (context) => {
  needNamespaces(context)
  const directory = tempDirectory('unreadable')
  for (const name of ['source', 'tmp']) mkdirSync(join(directory, name))
  const heavy = new Heavy(join(directory, 'source', 'app.db'))
  onTestFinished(() => heavy.close())
  heavy.insert(1)
  chmodSync(heavy.path, 0o000)
  const replica = join(directory, 'replica')
  const yaml = `dbs:\n- path: ${heavy.path}\n  monitor-interval: 20ms\n  replicas:\n  - {path: ${replica}, sync-interval: 20ms}\n`
  // Root reads everything: without its capabilities it is an owner like any other.
  const drop = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs']
  const daemon = await startThrough([...NAMESPACE, ...drop], directory, yaml)
  expect(await daemon.waitForLine(/let the user of this process read it/)).toContain(heavy.path)
  chmodSync(heavy.path, 0o644)
  await daemon.waitForLine(/snapshot written/)
  expectGoodEnd(await daemon.stop())
  const output = join(directory, 'restored.db')
  expect((await runOurs(['restore', '-o', output, `file://${replica}`])).code).toBe(0)
  expect(sumIn(output)).toBe(heavy.sum())
}, 120_000)
