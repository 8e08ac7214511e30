// Texts from people and programs: the configuration, replica URLs, durations, sizes, flags. An error of ours that says what is wrong, or
// a value that can be used; never anything else, soon, and without the secrets in it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { booleanFlag, commonFlags, hexIndexFlag, integerFlag, parseArgs, stringFlag } from '../../src/cli/args.js'
import { loadConfig, replicaFromUrl } from '../../src/config/load.js'
import type { Config } from '../../src/config/types.js'
import { parseBytes } from '../../src/config/units.js'
import { formatDuration, parseDuration } from '../../src/model/duration.js'
import { changes, corpus, FUZZ, harmless, mutated } from './fuzz.js'

const directory = mkdtempSync(join(tmpdir(), 'litestream-test-fuzz-'))
afterAll(() => rmSync(directory, { recursive: true }))

const SECRET = 'the-secret-that-nobody-prints'

async function load(text: string | Buffer): Promise<Config> {
  const path = join(directory, 'litestream.yml')
  writeFileSync(path, text)
  return await loadConfig({ path, env: { KEY: 'from-the-environment' }, cwd: directory, expandEnv: true })
}

describe('the configuration', () => {
  test.each(corpus('config'))('%s of the corpus', async (_, text) => {
    const result = await harmless(() => load(text))
    // What goes wrong is told in a page, not in a book.
    if ('error' in result) expect(result.error.message.length).toBeLessThan(30_000)
  })

  const scalar = fc.oneof(
    fc.constantFrom(
      '',
      '~',
      'yes',
      '1s',
      '-1s',
      '1h30m',
      '99999999999h',
      '128MiB',
      '0x10',
      '1e999',
      '.nan',
      '!!binary aGk=',
      '[]',
      '{}',
    ),
    fc.constantFrom(
      '*a',
      '&a b',
      '!x y',
      '"\\u0000"',
      "'it''s'",
      '$KEY',
      '$MISSING',
      's3://bucket/a',
      'file:///a',
      '/abs',
      '../up',
      '|',
      '>',
    ),
    fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text)),
  )
  const names = [
    'path',
    'url',
    'type',
    'bucket',
    'endpoint',
    'region',
    'retention',
    'snapshot-interval',
    'sync-interval',
    'name',
    '<<',
    '__proto__',
    'max-wal-size',
    'constructor',
  ]
  const flow = (depth: number): fc.Arbitrary<string> =>
    depth === 0
      ? scalar
      : fc.oneof(
          scalar,
          fc.array(flow(depth - 1), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
          fc
            .array(fc.tuple(fc.constantFrom(...names, 'replicas', 'dbs'), flow(depth - 1)), { maxLength: 4 })
            .map((pairs) => `{${pairs.map(([name, value]) => `${name}: ${value}`).join(', ')}}`),
        )
  const top = fc.constantFrom(
    'dbs',
    'addr',
    'exec',
    'logging',
    'access-key-id',
    'secret-access-key',
    'socket',
    '<<',
    'x',
  )
  const generated = fc
    .array(fc.tuple(top, flow(3)), { maxLength: 4 })
    .map((lines) => lines.map(([name, value]) => `${name}: ${value}\n`).join(''))

  test('made of its own words', async () => {
    await fc.assert(
      fc.asyncProperty(generated, async (text) => void (await harmless(() => load(text)))),
      FUZZ.of(400),
    )
  })

  test('changed anywhere; and no error shows a secret', async () => {
    const valid = Buffer.from(
      `access-key-id: id\nsecret-access-key: ${SECRET}\ndbs:\n- path: /a.db\n  replicas:\n  - {type: s3, bucket: b, path: "p", retention: 24h, secret-access-key: "${SECRET}", access-key-id: id}\n  - url: s3://b.localhost:9000/x\n`,
    )
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const result = await harmless(() => load(mutated(valid, list)))
        if ('error' in result) expect(result.error.message).not.toContain(SECRET)
      }),
      FUZZ.of(400),
    )
  })

  test('any text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 200 }),
        async (text) => void (await harmless(() => load(text))),
      ),
      FUZZ.of(200),
    )
  })

  test('without end, as a device', async () => {
    const path = '/dev/zero'
    const result = await harmless(() => loadConfig({ path, env: {}, cwd: directory, expandEnv: true }))
    expect(result).toMatchObject({ error: { message: expect.stringContaining('no configuration') } })
  })
})

describe('one line', () => {
  const around = { env: {}, cwd: '/here' }

  test('replica URLs', async () => {
    const part = fc.constantFrom(
      's3',
      'file',
      'gcs',
      '://',
      ':',
      '//',
      '/',
      '..',
      '@',
      'user:pass@',
      'bucket',
      '.localhost',
      ':9000',
      '%2e%2e',
      '%',
      '%zz',
      '?',
      '#',
      '\n',
      '\u0000',
      '[::1]',
      'é',
      '.s3.eu.backblazeb2.com',
    )
    const url = fc.oneof(
      fc.array(part, { maxLength: 10 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 60 }),
    )
    await fc.assert(
      fc.asyncProperty(url, async (text) => {
        const result = await harmless(() => replicaFromUrl(text, around))
        if (!('value' in result) || result.value.type !== 's3') return
        // Nothing that climbs out of the bucket's prefix, and no credentials that would be printed.
        expect(result.value.path.split('/')).not.toContain('..')
        expect(JSON.stringify(result.value)).not.toContain('user:pass')
      }),
      FUZZ.of(1500),
    )
    for (const [, text] of corpus('url'))
      await harmless(() => replicaFromUrl(text.toString('utf8').replace(/\n$/, ''), around))
  })

  test('durations and sizes', () => {
    const part = fc.constantFrom(
      '1',
      '0',
      '99999999999999999999',
      '.',
      '-',
      '+',
      'h',
      'm',
      's',
      'ms',
      'us',
      'µs',
      'ns',
      ' ',
      'd',
      'MiB',
      'e',
      'x',
    )
    const text = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 30 }),
    )
    const property = fc.property(text, (written) => {
      const duration = parseDuration(written)
      if ('nanoseconds' in duration) expect(parseDuration(formatDuration(duration.nanoseconds))).toEqual(duration)
      const size = parseBytes(written)
      if ('value' in size) expect(Number.isSafeInteger(size.value) && size.value >= 0).toBe(true)
    })
    fc.assert(property, FUZZ.of(1500))
    expect(parseDuration('1h'.repeat(100_000))).toEqual({ nanoseconds: 360_000_000_000_000_000n })
    expect(parseDuration('9'.repeat(100_000))).toHaveProperty('problem')
    expect(parseDuration(`0.${'0'.repeat(100_000)}1s`)).toEqual({ nanoseconds: 0n })
  })

  test('flags', async () => {
    const flags = {
      ...commonFlags,
      o: stringFlag(),
      index: hexIndexFlag(),
      parallelism: integerFlag(8),
      'if-replica-exists': booleanFlag(),
    }
    const word = fc.oneof(
      fc.constantFrom(
        '-o',
        '--o',
        '-o=',
        '-index',
        '-index=zz',
        '-parallelism=0x',
        '-parallelism=9'.padEnd(400, '9'),
        '-',
        '--',
        '---',
        '-=',
        '-__proto__=1',
        '-if-replica-exists=maybe',
        '-h',
        'x',
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { maxLength: 6 }),
        async (words) => void (await harmless(() => parseArgs(words, flags))),
      ),
      FUZZ.of(1000),
    )
  })
})
