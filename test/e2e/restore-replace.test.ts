// `restore -replace` as an operator meets it: refused while the application or our own daemon has the database open, done when both
// are stopped; and the progress of a slow restore on a real terminal.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FileClient } from '../../src/replica/file-client.js'
import { Application } from '../support/application.js'
import { listening } from '../support/listening.js'
import { run } from '../support/process.js'
import { distMain, runOurs, startOurs } from '../support/programs.js'
import { DatabaseModel, makePage, SyntheticReplica } from '../support/synthetic-replica.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'

test('refused while the application or the daemon has it open, done when both are stopped', async () => {
  const directory = tempDirectory()
  const data = join(directory, 'data')
  mkdirSync(data)
  const path = join(data, 'app.db')
  const config = join(directory, 'litestream.yml')
  const replica = join(directory, 'replica')
  writeFileSync(
    config,
    `dbs:\n  - path: ${path}\n    replicas:\n      - path: ${replica}\n        sync-interval: 100ms\n`,
  )
  const application = new Application(path)
  onTestFinished(() => application.kill())
  await application.open(['journal_mode = wal'])
  await application.exec('create table t (x); insert into t values (1)')
  const daemon = await startOurs(['replicate', '-config', config])
  onTestFinished(async () => void (await daemon.stop()))
  await daemon.waitForLine(/snapshot written/)
  await application.exec('insert into t values (2)')

  const restore = () => runOurs(['restore', '-replace', '-config', config, path])
  const names = () => readdirSync(data).sort()
  const before = names()
  const both = await restore()
  expect(both.code).toBe(1)
  expect(both.stderr).toMatch(
    /cannot replace \S+app.db: it is open in process \d+ .*process \d+ .*stop the application/,
  )
  await application.kill()
  const daemonOnly = await restore()
  expect(daemonOnly.code).toBe(1)
  expect(daemonOnly.stderr).toMatch(new RegExp(`it is open in process ${daemon.pid} \\(.*replicate`))
  expect(names()).toEqual(before)
  expect((await daemon.stop()).code).toBe(0)

  // The old database still has its -wal: nobody has checkpointed it.
  expect(names()).toContain('app.db-wal')
  const { code, stderr } = await restore()
  expect(code, stderr).toBe(0)
  const aside = /to=(\S+app\.db\.replaced-\S+)/.exec(stderr)?.[1] ?? ''
  expect(names()).toEqual([
    'app.db',
    ...['', '-shm', '-wal'].map((suffix) => `${aside.slice(data.length + 1)}${suffix}`),
  ])
  for (const file of [path, aside]) {
    copyFileSync(file, join(directory, 'copy.db'))
    if (file === aside) copyFileSync(`${file}-wal`, join(directory, 'copy.db-wal'))
    const reader = new Application(join(directory, 'copy.db'))
    await reader.open()
    expect(await reader.all('select x from t')).toEqual([{ x: 1 }, { x: 2 }])
    await reader.kill()
  }
})

test('on a terminal one line is drawn over: bytes, rate, time left; and nothing of it stays', async () => {
  const directory = tempDirectory()
  const generation = '0123456789abcdef'
  const model = new DatabaseModel(65536)
  for (let page = 1; page <= 64; page++) {
    const bytes = makePage(page, 1, 65536)
    for (let at = 128; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE((page * 2654435761 + at * 40503) >>> 0, at)
    model.apply({ pages: new Map([[page, bytes]]), pageCount: page })
  }
  const files = new FileClient({ path: join(directory, 'replica') })
  const replica = new SyntheticReplica(files, { generation, pageSize: 65536, ours: true })
  const key = await replica.snapshot(model.bytes(), 1_700_000_000_000)
  const stored: Buffer[] = []
  for await (const chunk of await files.get(key)) stored.push(Buffer.from(chunk))
  const object = Buffer.concat(stored)

  // A store that sends the second half only when the first one has been drawn.
  let drawn = false
  const server = createServer((request, response) => {
    if (request.url?.includes('list-type')) {
      const contents = `<Contents><Key>${key}</Key><Size>${object.length}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`
      response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`)
      return
    }
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const body = object.subarray(start)
    const range = { 'content-range': `bytes ${start}-${object.length - 1}/${object.length}` }
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': body.length, ...(start > 0 ? range : {}) })
    if (start > 0) return void response.end(body)
    let sent = 0
    const timer = setInterval(() => {
      const limit = drawn ? body.length : body.length / 2
      const next = Math.min(limit, sent + 4096)
      if (next > sent) response.write(body.subarray(sent, next))
      sent = next
      if (sent === body.length) {
        clearInterval(timer)
        response.end()
      }
    }, 2)
    response.on('close', () => clearInterval(timer))
  })
  const port = await listening(server)
  const log = join(directory, 'terminal')
  const env = {
    AWS_ACCESS_KEY_ID: 'k',
    AWS_SECRET_ACCESS_KEY: 's',
    TERM: 'xterm',
    MAIN: await distMain(),
    NODE: process.execPath,
  }
  const url = `s3://bkt.localhost:${port}`
  const line = `stty cols 100; "$NODE" "$MAIN" restore -integrity-check none -o "${directory}/out.db" ${url}`
  const finished = run('script', ['-qefc', line, log], { env })
  const text = (): string => {
    try {
      return readFileSync(log, 'utf8')
    } catch {
      return ''
    }
  }
  await until(() => / [1-4]\d% .* left/.test(text()), { what: 'the progress to be drawn' })
  drawn = true
  const { code } = await finished
  expect(code, text()).toBe(0)
  const drawings = text()
    .split('\r\u001b[K')
    .filter((one) => one.startsWith('restoring'))
  for (const one of drawings) {
    expect(one).toMatch(
      /^restoring +\d+% {2}[\d.]+ [KM]?i?B of [\d.]+ [KM]iB {2}[\d.]+ [KM]?i?B\/s {2}(\d+s|\d+m\d\ds|\d+h\d\dm|long) left {2}\d of 1 objects$/,
    )
  }
  // The last of them is wiped before the next line is printed.
  expect(text()).toContain('objects\r\u001b[Ktime=')
  expect(text().trimEnd().split('\n').at(-1)).not.toContain('left')
})
