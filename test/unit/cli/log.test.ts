import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createLogger, type LogOptions } from '../../../src/log.js'
import { formatTextLine } from '../../../src/log-format.js'
import { type Attributes, LogDuration, type Logger, silentLogger } from '../../../src/logger.js'
import { run } from '../../support/process.js'
import { distMain } from '../../support/programs.js'
import { tempDirectory } from '../../support/temp.js'

/** What `write` logs into a real descriptor. */
function logged(options: Partial<LogOptions>, write: (log: Logger) => void): string {
  const path = join(tempDirectory('log'), 'log')
  const fd = openSync(path, 'a')
  const now = () => new Date('2026-11-22T13:14:15.439Z')
  write(createLogger({ level: 'info', type: 'text', fd, now, ...options }))
  // Not flushed or ended: every line must be there already.
  const text = readFileSync(path, 'utf8')
  closeSync(fd)
  return text
}

const time = new Date('2026-11-22T13:14:15.439Z')
const line = (message: string, attributes?: Attributes): string =>
  formatTextLine(time, 'INFO', message, attributes).replace(/^time=\S+ level=INFO /, '')

describe('text lines', () => {
  test('time and level', () => {
    expect(formatTextLine(time, 'WARN', 'x')).toMatch(
      /^time=2026-11-22T\d\d:\d\d:15\.439(Z|[+-]\d\d:\d\d) level=WARN msg=x$/,
    )
  })

  test.each([
    ['litestream', { version: 'v0.1.0' }, 'msg=litestream version=v0.1.0'],
    ['initialized db', { path: '/a b.db' }, 'msg="initialized db" path="/a b.db"'],
    ['', { a: '', b: undefined, c: null, d: 0, e: false, f: 10n }, 'msg="" a="" c=null d=0 e=false f=10'],
    [
      'x',
      { a: 'k=v', b: 'say "hi"', c: 'a\nb\tc\u0000\u007f', d: '\u00a0' },
      'msg=x a="k=v" b="say \\"hi\\"" c="a\\nb\\tc\\x00\\x7f" d="\\u00a0"',
    ],
    ['x', { a: 'back\\slash', b: 'é', c: '日本' }, 'msg=x a=back\\slash b=é c=日本'],
    ['x', { elapsed: new LogDuration(0.959835), n: new LogDuration(-1500) }, 'msg=x elapsed=959.835µs n=-1.5s'],
    ['x', { error: new Error('no such "thing"') }, 'msg=x error="no such \\"thing\\""'],
    ['x', { list: [1, 'a'] }, 'msg=x list="[1,\\"a\\"]"'],
    [
      'x',
      { 'secret-access-key': 'abc', password: 1, 'access-key-id': 'AK' },
      'msg=x secret-access-key=[redacted] password=[redacted] access-key-id=AK',
    ],
  ])('%s: %#', (message, attributes, expected) => {
    expect(line(message, attributes)).toBe(expected)
  })
})

describe('createLogger', () => {
  test('text: levels below the chosen one are left out, a child puts its attributes first', () => {
    const text = logged({}, (log) => {
      log.debug('not this')
      log
        .child({ db: '/a' })
        .child({ replica: 's3' })
        .warn('slow', { lag: new LogDuration(2600) })
    })
    expect(text.replace(/^time=\S+ /, '')).toBe('level=WARN msg=slow db=/a replica=s3 lag=2.6s\n')
  })

  test('json: time, level, message, attributes; durations in nanoseconds, nothing can take their place', () => {
    const text = logged({ type: 'json', level: 'debug' }, (log) => {
      log
        .child({ db: '/a' })
        .debug('sync\n', { took: new LogDuration(1.5), error: new Error('e'), level: 'x', token: undefined })
      log.error('b', { nested: { secretKey: 'x', at: time } })
    })
    const [first, second] = text.trim().split('\n')
    expect(first).toMatch(
      /^\{"time":"2026-11-22T[^"]+","level":"DEBUG","msg":"sync\\n","db":"\/a","took":1500000,"error":"e"\}$/,
    )
    expect(JSON.parse(second!)).toMatchObject({ level: 'ERROR', msg: 'b', nested: { secretKey: '[redacted]' } })
  })

  test.each(['text', 'json'] as const)('%s: a secret does not appear, however it is spelled', (type) => {
    const secret = 'top+/"secret\\='
    const text = logged({ type, secrets: [secret, ''] }, (log) => {
      log.info(`message ${secret}`, { value: secret, list: [secret], url: `s3://k:${encodeURIComponent(secret)}@h` })
    })
    expect(text).toContain('[redacted]')
    for (const piece of ['top+', 'top%2B', 'secret\\']) expect(text).not.toContain(piece)
  })

  test('silentLogger says nothing and has children', () => {
    expect(() => silentLogger.child({ a: 1 }).error('x')).not.toThrow()
  })

  test('a reader that went away is told once, and the process lives on', async () => {
    const module = JSON.stringify((await distMain()).replace(/cli\/main\.js$/, 'log.js'))
    const script = `
      const { createLogger } = await import(${module})
      const log = createLogger({ level: 'info', type: 'text', fd: 1, onBrokenPipe: () => process.stderr.write('broken\\n') })
      // head ends after the first line; write until the pipe is known to be broken
      for (let i = 0; i < 2000; i++) { log.info('line', { i, filler: 'x'.repeat(100) }); await new Promise(setImmediate) }
      process.stderr.write('alive\\n')`
    const words = ['-c', '"$0" --input-type=module -e "$1" | head -n 1', process.execPath, script]
    const { stdout, stderr } = await run('sh', words)
    expect(stdout).toMatch(/^time=\S+ level=INFO msg=line i=0 filler=x+\n$/)
    expect(stderr).toBe('broken\nalive\n')
  })
})
