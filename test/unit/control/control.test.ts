// The control socket, both ends in this process, and what may lie in its place already.

import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { configFromUrls } from '../../../src/config/load.js'
import type { Config } from '../../../src/config/types.js'
import { askDaemon } from '../../../src/control/client.js'
import { type SocketPlace, socketPlaces } from '../../../src/control/place.js'
import { controlHandlers } from '../../../src/control/requests.js'
import { type ControlHandlers, ControlServer } from '../../../src/control/server.js'
import type { Logger } from '../../../src/logger.js'
import { silentLogger } from '../../../src/logger.js'
import { run } from '../../support/process.js'
import { tempDirectory } from '../../support/temp.js'

const echo: ControlHandlers = {
  ...controlHandlers({ report: () => ({}) as never, probe: async () => {} }),
  echo: async (request) => request,
  fail: async () => {
    throw new Error('it is broken')
  },
}

async function serve(path: string, { privateDirectory = false, log = silentLogger as Logger } = {}) {
  const server = await ControlServer.start([{ path, privateDirectory }], echo, log)
  onTestFinished(async () => server?.stop())
  return server
}

const configAt = (socketPath: string): Config => ({
  ...configFromUrls('/x/a.db', [], surroundings),
  file: '/l.yml',
  socketPath,
})
const surroundings = { env: {}, cwd: '/' }
const ask = (path: string, request = 'echo') => askDaemon<unknown>(configAt(path), { request, a: 'ä\n"' })

describe('asking', () => {
  test('a question and its answer; what cannot be answered is told', async () => {
    const path = join(tempDirectory('control'), 'c.sock')
    await serve(path)
    expect(await ask(path)).toEqual({ kind: 'answer', path, value: { request: 'echo', a: 'ä\n"' } })
    expect(await ask(path, 'hello')).toMatchObject({ kind: 'answer', value: { pid: process.pid } })
    expect(await ask(path, 'fail')).toMatchObject({ kind: 'silent', reason: 'it is broken' })
    expect(await ask(path, 'toString')).toMatchObject({ kind: 'silent', reason: 'unknown request "toString"' })
  })

  test('no socket, a dead one, and something else in its place', async () => {
    const directory = tempDirectory('control')
    expect(await ask(join(directory, 'none.sock'))).toEqual({ kind: 'none' })
    expect(await ask(join(directory, 'none', 'none.sock'))).toEqual({ kind: 'none' })
    const file = join(directory, 'file')
    writeFileSync(file, '')
    expect(await ask(file)).toMatchObject({ kind: 'silent', reason: `${file} is not a socket` })
    const dead = await deadSocket(directory)
    expect(await ask(dead)).toMatchObject({ kind: 'silent', reason: `nobody answers at ${dead}: the daemon has died` })
  })

  test('one that accepts and says nothing is given up', async () => {
    const path = join(tempDirectory('control'), 'c.sock')
    const silent = createServer(() => {}).listen(path)
    onTestFinished(() => void silent.close())
    expect(await ask(path)).toMatchObject({ kind: 'silent', reason: expect.stringContaining('has not answered') })
  })

  test('nonsense gets an error, a flood is cut off, a connection that says nothing does not keep the server', async () => {
    const path = join(tempDirectory('control'), 'c.sock')
    const server = await serve(path)
    const say = (text: string) =>
      new Promise<string>((resolve) => {
        let got = ''
        const socket = connect(path, () => socket.write(text))
        socket.on('data', (chunk) => {
          got += chunk
        })
        socket.on('close', () => resolve(got))
        socket.on('error', () => {})
      })
    for (const text of ['hi\n', '[]\n', '{"request":1}\n', 'x'.repeat(5000)]) {
      expect(JSON.parse(await say(text))).toEqual({ error: 'expected one line of JSON with a "request"' })
    }
    const quiet = say('')
    await ask(path)
    await server?.stop()
    expect(await quiet).toBe('')
  })
})

/** A socket whose process is gone. */
async function deadSocket(directory: string): Promise<string> {
  const path = join(directory, 'dead.sock')
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  await run(process.execPath, ['-e', program])
  expect(existsSync(path)).toBe(true)
  return path
}

describe('serving', () => {
  test('only for us: the socket has mode 0600, its own directory 0700, and nothing stays', async () => {
    const directory = tempDirectory('control')
    const path = join(directory, 'own', 'control.sock')
    const server = await serve(path, { privateDirectory: true })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(directory, 'own')).mode & 0o777).toBe(0o700)
    await server?.stop()
    await server?.stop()
    expect(readdirSync(directory)).toEqual([])
  })

  test('a dead socket is replaced, a living daemon is not', async () => {
    const path = await deadSocket(tempDirectory('control'))
    await serve(path)
    expect(await ask(path)).toMatchObject({ kind: 'answer' })
    await expect(serve(path)).rejects.toThrow(
      `another litestream serves this configuration already (process ${process.pid}, socket ${path}); stop it first`,
    )
  })

  test('a directory that others can write to, or that is a link, is not used', async () => {
    const directory = tempDirectory('control')
    const lines: unknown[] = []
    const log = { ...silentLogger, warn: (_: string, attributes: unknown) => void lines.push(attributes) }
    mkdirSync(join(directory, 'open'))
    chmodSync(join(directory, 'open'), 0o777)
    mkdirSync(join(directory, 'ours'), { mode: 0o700 })
    symlinkSync(join(directory, 'ours'), join(directory, 'link'))
    for (const name of ['open', 'link']) {
      expect(await serve(join(directory, name, 'control.sock'), { privateDirectory: true, log })).toBeUndefined()
    }
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({ error: expect.stringContaining('not a directory of ours with mode 0700') })
  })

  test('the next place is taken where the first cannot be used', async () => {
    const directory = tempDirectory('control')
    writeFileSync(join(directory, 'file'), '')
    const places = ['file/c.sock', 'good/c.sock'].map(
      (name): SocketPlace => ({ path: join(directory, name), privateDirectory: true }),
    )
    const server = await ControlServer.start(places, echo, silentLogger)
    expect(server?.path).toBe(places[1]?.path)
    await server?.stop()
  })
})

describe('the place', () => {
  const base = { ...configFromUrls('/data/storage/a.db', [], surroundings), file: '/etc/litestream.yml' }
  const [database] = base.databases
  const withMeta = (metaPath: string): Config => ({ ...base, databases: [{ ...database!, metaPath }] })

  test('belongs to the configuration', () => {
    const [place, ...others] = socketPlaces(base)
    expect(place?.path).toMatch(/\/litestream-[0-9a-f]{16}\/control\.sock$/)
    expect(others.map(({ path }) => path)).toContain(place?.path.replace(/^.*(?=\/litestream-)/, '/dev/shm'))
    expect(socketPlaces(base)).toEqual([place, ...others])
    expect(socketPlaces({ ...base, file: '/etc/other.yml' })[0]).not.toEqual(place)
    expect(socketPlaces({ ...base, file: undefined })).toEqual([])
  })

  test('is the one that was given, else below meta-path, but never where a database is', () => {
    expect(socketPlaces({ ...base, socketPath: '/run/l.sock' })).toEqual([
      { path: '/run/l.sock', privateDirectory: false },
    ])
    expect(socketPlaces(withMeta('/var/lib/litestream'))[0]?.path).toMatch(
      /^\/var\/lib\/litestream\/litestream-[0-9a-f]{16}\.sock$/,
    )
    for (const metaPath of ['/data/storage', '/data/storage/.meta', `/m/${'x'.repeat(100)}`]) {
      expect(socketPlaces(withMeta(metaPath))).toEqual(socketPlaces(base))
    }
  })
})
