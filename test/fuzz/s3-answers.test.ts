// Answers of a store that is broken, in the way, or hostile: each is an error of ours or the right result, soon, and in bounded memory.
// Never a shorter listing than there is, and never "there is nothing".

import type { ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLitestreamError } from '../../src/errors.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { ProvenanceReader } from '../../src/restore/provenance-reader.js'
import { keysBelow } from '../contract/bodies.js'
import { collect } from '../support/codec.js'
import { scripted } from '../support/scripted-store.js'
import { FUZZ } from './fuzz.js'

const NAME = 'generations/0123456789abcdef/wal/00000000_00000000.wal.lz4'

const xml = (text: string): string =>
  [...text].map((c) => (/[\w/.-]/.test(c) || c > '~' ? c : `&#x${(c.codePointAt(0) as number).toString(16)};`)).join('')

interface Page {
  readonly keys: readonly string[]
  readonly next?: string
  readonly size?: string
  readonly time?: string
}

function pageXml({ keys, next, size = '10', time = '2026-11-22T10:00:00.000Z' }: Page): string {
  const contents = keys.map(
    (key) => `<Contents><Key>root/${xml(key)}</Key><Size>${size}</Size><LastModified>${time}</LastModified></Contents>`,
  )
  const more = next === undefined ? '' : `<NextContinuationToken>${xml(next)}</NextContinuationToken>`
  return `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${more}${contents.join('')}</ListBucketResult>`
}

const answer = (response: ServerResponse, body: string | Buffer, status = 200): void =>
  void response.writeHead(status, { 'content-type': 'application/xml' }).end(body)

async function listed(body: string | Buffer, status = 200): Promise<string[]> {
  const { client } = await scripted((_, response) => answer(response, body, status), { attemptsMax: 1 })
  return await allKeys(client)
}

const allKeys = (client: ReplicaClient): Promise<string[]> => keysBelow(client, 'generations/')

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ value }),
    (error) => error,
  )

describe('a listing', () => {
  test('that is none is not an empty replica', async () => {
    for (const body of ['', '<html><body>please log in</body></html>', '{"keys": []}', '<ListBucketResult/>', 'OK']) {
      const error = await failure(listed(body))
      expect(isLitestreamError(error, 'STORAGE'), `${body} gave ${JSON.stringify(error)}`).toBe(true)
    }
    expect(await listed(pageXml({ keys: [] }))).toEqual([])
  })

  test('that is cut anywhere is an error', async () => {
    const whole = pageXml({ keys: [NAME, `${NAME}x`] })
    expect(await listed(whole)).toHaveLength(2)
    for (let length = 0; length < whole.length; length += 7) {
      expect(isLitestreamError(await failure(listed(whole.slice(0, length))), 'STORAGE'), whole.slice(0, length)).toBe(
        true,
      )
    }
  })

  test('that never ends, repeats its token, or says "more" and not how', async () => {
    let pages = 0
    const endless = await scripted((_, response) =>
      answer(response, pageXml({ keys: [], next: `token ${++pages % 5}` })),
    )
    expect(await failure(allKeys(endless.client))).toMatchObject({
      code: 'STORAGE',
      message: expect.stringContaining('repeats'),
    })
    const growing = await scripted((_, response) =>
      answer(response, pageXml({ keys: [NAME], next: `token ${++pages}` })),
    )
    expect(await failure(allKeys(growing.client))).toMatchObject({
      code: 'STORAGE',
      message: expect.stringContaining('twice'),
    })
    const body = pageXml({ keys: [NAME] }).replace('false', 'true')
    expect(await failure(listed(body))).toMatchObject({
      code: 'STORAGE',
      message: expect.stringContaining('does not say how'),
    })
  })

  test('with keys that were not asked for, twice, or out of order', async () => {
    const outside = pageXml({ keys: [NAME] }).replace('root/', 'other/')
    expect(await failure(listed(outside))).toMatchObject({ code: 'STORAGE' })
    expect(await failure(listed(pageXml({ keys: [NAME, NAME] })))).toMatchObject({ code: 'STORAGE' })
    expect(await failure(listed(pageXml({ keys: [`${NAME}b`, `${NAME}a`] })))).toMatchObject({ code: 'STORAGE' })
  })

  test('with sizes and times that cannot be', async () => {
    for (const page of [
      { size: '-5' },
      { size: '1e400' },
      { size: 'x' },
      { size: '99999999999999999999' },
      { time: 'never' },
    ]) {
      const error = await failure(listed(pageXml({ keys: [NAME], ...page })))
      expect(isLitestreamError(error, 'STORAGE'), JSON.stringify(page)).toBe(true)
    }
  })

  test('with hostile keys: they are listed or refused, and no name of the layout', async () => {
    const hostile = [
      '../../../etc/passwd',
      '/etc/passwd',
      'a\nb',
      '\u001b[31m',
      'x'.repeat(2000),
      '\ud83d\ude00',
      '%2e%2e',
      '__proto__',
    ]
    for (const key of hostile) {
      const result = await failure(listed(pageXml({ keys: [`generations/${key}`] })))
      if (!isLitestreamError(result)) expect(result).toEqual({ value: [`generations/${key}`] })
    }
  })

  test('bytes of any kind: ours or right', async () => {
    const body = Buffer.from(pageXml({ keys: [NAME, `${NAME}.x`, `${NAME}.y`] }))
    const { client } = await scripted((_, response) => answer(response, current, 200), { attemptsMax: 1 })
    let current: Buffer = body
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(body.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
        async (changes) => {
          current = Buffer.from(body)
          for (const [at, byte] of changes) current[at] = byte
          const result = await failure(allKeys(client))
          if (result instanceof Error) expect(isLitestreamError(result), String(result.stack)).toBe(true)
        },
      ),
      FUZZ.of(60),
    )
  })
})

describe('an answer that would fill the memory', () => {
  const MIB = 'x'.repeat(1 << 20)

  /** Sends until nobody takes it any more; how many MiB were taken, 500 at most. */
  function flood(response: ServerResponse, status: number, begin: string): { taken: number } {
    const sent = { taken: 0 }
    response.writeHead(status, { 'content-type': 'application/xml' })
    response.write(begin)
    const more = (): void => {
      while (!response.destroyed && sent.taken < 500) {
        sent.taken++
        if (!response.write(MIB)) return void response.once('drain', more)
      }
      response.end()
    }
    more()
    return sent
  }

  test.each([
    ['a listing', 200],
    ['an error', 404],
    ['an error that may be tried again', 503],
  ])('%s is cut off', async (_, status) => {
    const floods: { taken: number }[] = []
    const { client } = await scripted((_request, response) => {
      floods.push(flood(response, status, '<ListBucketResult><IsTruncated>false</IsTruncated><Name>'))
    })
    expect(isLitestreamError(await failure(allKeys(client)), 'STORAGE')).toBe(true)
    for (const { taken } of floods) expect(taken).toBeLessThan(100)
  })

  test('the error of a download is cut off too', async () => {
    const floods: { taken: number }[] = []
    const { client } = await scripted((_, response) => void floods.push(flood(response, 403, '<Error><Code>')))
    expect(isLitestreamError(await failure(client.get(NAME)), 'STORAGE')).toBe(true)
    for (const { taken } of floods) expect(taken).toBeLessThan(100)
  })

  test('XML entities do not multiply', async () => {
    const entities = Array.from({ length: 30 }, (_, i) => `<!ENTITY e${i + 1} "&e${i};&e${i};">`).join('')
    const body = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "bomb">${entities}]>${pageXml({ keys: [NAME] })}`
    const result = await failure(listed(body.replace('<Contents>', '<Name>&e30;</Name><Contents>')))
    if (!isLitestreamError(result)) expect(result).toEqual({ value: [NAME] })
  })

  test('elements within elements without end', async () => {
    expect(isLitestreamError(await failure(listed('<a>'.repeat(400_000))), 'STORAGE')).toBe(true)
  })

  test('a store that ignores where a download begins', async () => {
    const content = Buffer.alloc(100_000, 'abcdefghij')
    const { client } = await scripted((_, response) => void response.writeHead(200).end(content))
    expect((await collect(await client.get(NAME, { start: 99_995 }))).toString()).toBe('fghij')
    const elsewhere = await scripted(
      (_, response) =>
        void response.writeHead(206, { 'content-range': 'bytes 7-99999/100000' }).end(content.subarray(7)),
    )
    expect(await failure(elsewhere.client.get(NAME, { start: 99_995 }))).toMatchObject({ code: 'STORAGE' })
  })

  test('an object without end, of which only the last bytes were wanted', async () => {
    let sent = { taken: 0 }
    const { client } = await scripted((_, response) => {
      response.setHeader('content-range', 'bytes 5904-9999/10000')
      sent = flood(response, 206, '')
    })
    const reading = new ProvenanceReader(client).read({ key: NAME, size: 10_000 })
    expect(await failure(reading)).toMatchObject({ code: 'CORRUPT' })
    expect(sent.taken).toBeLessThan(100)
  })
})

test('an error body of any kind: ours, one line, and nothing of it can drive a terminal or shows the secret', async () => {
  let status = 400
  let body = ''
  const { client } = await scripted((_, response) => answer(response, body, status), { attemptsMax: 1 })
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom('SlowDown', '\u001b[2J', 'a\r\nb', '</Code>'),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 300, max: 599 }),
      text,
      text,
      fc.boolean(),
      async (code, name, message, whole) => {
        status = code
        body = whole ? `<Error><Code>${xml(name)}</Code><Message>${xml(message)}</Message></Error>` : name + message
        const error = await failure(allKeys(client))
        expect(isLitestreamError(error), String((error as Error).stack)).toBe(true)
        expect((error as Error).message).not.toContain('the-secret')
      },
    ),
    FUZZ.of(60),
  )
})
