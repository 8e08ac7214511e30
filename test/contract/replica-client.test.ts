// The contract of src/replica/client.ts, sentence by sentence, against every client.

import { Buffer } from 'node:buffer'
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { LitestreamError } from '../../src/errors.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { compareKeys } from '../../src/replica/keys.js'
import { bodyOf, collect, gate, isPattern, keysBelow, pattern, text } from './bodies.js'
import { places } from './clients.js'

const MIB = 2 ** 20

async function fill(client: ReplicaClient, keys: readonly string[]): Promise<void> {
  for (let start = 0; start < keys.length; start += 32) {
    await Promise.all(keys.slice(start, start + 32).map((key) => client.put(key, bodyOf(key))))
  }
}

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(6, '0')}`)

describe.each(Object.entries(places))('%s client', (type, makePlace) => {
  test('names its type and a URL without credentials', async () => {
    const { client } = await makePlace()
    const inner = type === 'counted' ? 'memory' : type
    expect(client.type).toBe(inner)
    expect(client.url).toMatch(
      inner === 'memory' ? /^memory:\/\// : inner === 'file' ? /^file:\/\/\/.+/ : /^s3:\/\/contract-.+\/app\/db$/,
    )
    expect(client.url).not.toContain('secret')
  })

  describe('list', () => {
    test('gives nothing where nothing is, also before the place exists', async () => {
      const { client } = await makePlace()
      expect(await keysBelow(client, 'generations/')).toEqual([])
      expect(await keysBelow(client, '')).toEqual([])
      expect(await client.listNames('generations/')).toEqual([])
    })

    test("orders by the keys' UTF-8 bytes at any depth", async () => {
      const { client } = await makePlace()
      // '-' and '!' sort before '/', '0' after it; U+FF5E sorts after an emoji in UTF-16 but before it in UTF-8
      const keys = [
        'p/a/x',
        'p/a-b',
        'p/a!',
        'p/a0',
        'p/a.b/c/d',
        'p/Z',
        'p/é',
        'p/～',
        'p/😀',
        'p/a/b/c',
        'p/a b',
        'p/%41+',
      ]
      await fill(client, keys)
      const listed = await keysBelow(client, 'p/')
      expect(listed).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
      expect(listed.indexOf('p/～')).toBeLessThan(listed.indexOf('p/😀'))
    })

    test('gives only what is below the prefix, and all of it for the empty one', async () => {
      const { client } = await makePlace()
      await fill(client, ['a/1', 'ab/2', 'a-/3', 'b/a/4'])
      expect(await keysBelow(client, 'a/')).toEqual(['a/1'])
      expect(await keysBelow(client, '')).toEqual(['a-/3', 'a/1', 'ab/2', 'b/a/4'])
      await expect(collect(client.list('a'))).rejects.toThrow('does not end with "/"')
    })

    test('pages through more than one thousand objects', async () => {
      const { client } = await makePlace()
      const keys = numbered('many/', 1050)
      await fill(client, keys)
      expect(await keysBelow(client, 'many/')).toEqual(keys)
    })

    test('pages through objects and names with small pages', async () => {
      const { client } = await makePlace({ pageObjects: 2 })
      const keys = ['g/a/1', 'g/a/2', 'g/a/3', 'g/b/1', 'g/c/1', 'g/d/1', 'g/e/1']
      await fill(client, keys)
      expect(await keysBelow(client, 'g/')).toEqual(keys)
      expect(await client.listNames('g/')).toEqual(['a', 'b', 'c', 'd', 'e'])
    })

    test('may be given up early, and survives deletions while it runs', async () => {
      const { client, other } = await makePlace({ pageObjects: 3 })
      const keys = numbered('l/', 10)
      await fill(client, keys)
      for await (const { key } of client.list('l/')) {
        expect(key).toBe(keys[0])
        break
      }
      const seen: string[] = []
      for await (const { key } of client.list('l/')) {
        if (seen.length === 0) await other.delete([keys[9] as string])
        seen.push(key)
      }
      // What was looked at in one go with the first one may still be named.
      expect(seen.filter((key) => key !== keys[9])).toEqual(keys.slice(0, 9))
    })

    test('tells size and time as put did', async () => {
      const { client } = await makePlace()
      const put = await client.put('t/object', bodyOf('12345'))
      const [listed] = await collect(client.list('t/'))
      expect(listed).toMatchObject({ key: 't/object', size: 5 })
      expect(put).toMatchObject({ key: 't/object', size: 5 })
      // S3 tells the time of a put only by the whole-second Date of its answer.
      if (type === 's3') expect(Math.abs((listed?.modifiedAtMs ?? 0) - put.modifiedAtMs)).toBeLessThan(60_000)
      else expect(listed?.modifiedAtMs).toBe(put.modifiedAtMs)
      expect(Math.abs(put.modifiedAtMs - Date.now())).toBeLessThan(60_000)
    })
  })

  test('listNames gives what has something below it, ascending, without slashes', async () => {
    const { client } = await makePlace()
    await fill(client, ['g/b/x/y', 'g/a/1', 'g/a/2', 'g/a-/1', 'g/file', 'h/c/1'])
    expect(await client.listNames('g/')).toEqual(['a', 'a-', 'b'])
    expect(await client.listNames('')).toEqual(['g', 'h'])
    await client.delete(['g/b/x/y'])
    expect(await client.listNames('g/')).toEqual(['a', 'a-'])
  })

  describe('get', () => {
    test('gives the bytes, from any start', async () => {
      const { client } = await makePlace()
      await client.put('k', bodyOf('hello ', 'world'))
      expect(await text(client, 'k')).toBe('hello world')
      expect(await text(client, 'k', { start: 0 })).toBe('hello world')
      expect(await text(client, 'k', { start: 6 })).toBe('world')
      expect(await text(client, 'k', { start: 10 })).toBe('d')
      expect(await text(client, 'k', { start: 11 })).toBe('')
      expect(await text(client, 'k', { start: 1e9 })).toBe('')
    })

    test('rejects at once with NOT_FOUND and the key, at any start', async () => {
      const { client } = await makePlace()
      for (const start of [0, 5]) {
        const error: unknown = await client.get('no/such', { start }).catch((reason: unknown) => reason)
        expect(error).toBeInstanceOf(LitestreamError)
        expect(error).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('no/such') })
      }
      await client.put('a/b/c', bodyOf('x'))
      await expect(client.get('a/b')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    test('may be given up early, before and after the first chunk', async () => {
      const { client } = await makePlace()
      await client.put('large', pattern(8 * MIB))
      for (let round = 0; round < 40; round++) {
        for await (const chunk of await client.get('large')) {
          expect(chunk[0]).toBe(0)
          break
        }
        const unread = (await client.get('large'))[Symbol.asyncIterator]()
        await unread.return?.()
        expect(await unread.next()).toEqual({ done: true, value: undefined })
      }
      expect(await isPattern(await client.get('large'), 0, 8 * MIB)).toBe(true)
    })

    test('stops with ABORTED, before and while reading', async () => {
      const { client } = await makePlace()
      await client.put('large', pattern(8 * MIB))
      await expect(client.get('large', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
      const controller = new AbortController()
      const read = async (): Promise<void> => {
        for await (const _ of await client.get('large', { signal: controller.signal })) controller.abort()
      }
      await expect(read()).rejects.toMatchObject({ code: 'ABORTED' })
    })
  })

  describe('put', () => {
    test('stores empty objects and ones of many chunks, and replaces as a whole', async () => {
      const { client } = await makePlace()
      expect(await client.put('k', bodyOf())).toMatchObject({ size: 0 })
      expect(await text(client, 'k')).toBe('')
      expect(await client.put('k', bodyOf('a', '', 'b', new Uint8Array(0), 'c'))).toMatchObject({ size: 3 })
      expect(await text(client, 'k')).toBe('abc')
      await client.put('k', bodyOf('z'))
      expect(await text(client, 'k')).toBe('z')
      expect(await keysBelow(client, '')).toEqual(['k'])
    })

    test('lets the body reuse its buffer', async () => {
      const { client } = await makePlace()
      async function* reusing(): AsyncGenerator<Uint8Array> {
        const buffer = Buffer.alloc(1)
        for (const letter of 'abcdef') {
          buffer.write(letter)
          yield buffer
        }
      }
      await client.put('k', reusing())
      expect(await text(client, 'k')).toBe('abcdef')
    })

    test.each([
      ['small', 10],
      ['large', 12 * MIB],
    ])('shows nothing of a %s object before its body has ended', async (_, size) => {
      const { client, other } = await makePlace()
      await client.put('p/k', bodyOf('old'))
      const { opened, open } = gate()
      const reached = gate()
      async function* held(): AsyncGenerator<Uint8Array> {
        yield* pattern(size)
        reached.open()
        await opened
        yield* bodyOf('end')
      }
      const replaced = client.put('p/k', held())
      await reached.opened
      expect(await text(other, 'p/k')).toBe('old')
      expect(await keysBelow(other, 'p/')).toEqual(['p/k'])
      open()
      expect(await replaced).toMatchObject({ size: size + 3 })
      expect(await text(other, 'p/k', { start: size })).toBe('end')
    })

    test.each([
      ['small', 10],
      ['large', 12 * MIB],
    ])('leaves nothing of a %s object whose body throws, and throws what it threw', async (_, size) => {
      const { client, unfinished } = await makePlace()
      const failure = Object.assign(new Error('the source failed'), { code: 'EEXIST', syscall: 'read' })
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield* pattern(size)
        throw failure
      }
      await expect(client.put('f/k', failing())).rejects.toBe(failure)
      expect(await keysBelow(client, '')).toEqual([])
      expect(await client.listNames('')).toEqual([])
      expect(await unfinished()).toEqual([])
    })

    test.each([
      ['small', 10],
      ['large', 12 * MIB],
    ])('leaves nothing of a %s object when aborted while the body is stuck, and ends the body', async (_, size) => {
      const { client, unfinished } = await makePlace()
      const controller = new AbortController()
      const stuck = gate()
      let ended = false
      async function* hanging(): AsyncGenerator<Uint8Array> {
        try {
          yield* pattern(size)
          controller.abort()
          await stuck.opened
          yield* bodyOf('late')
        } finally {
          ended = true
        }
      }
      await expect(client.put('a/k', hanging(), { signal: controller.signal })).rejects.toMatchObject({
        code: 'ABORTED',
      })
      expect(await keysBelow(client, '')).toEqual([])
      expect(await unfinished()).toEqual([])
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
      stuck.open()
      await expect.poll(() => ended).toBe(true)
      expect(await keysBelow(client, '')).toEqual([])
    })

    test('does not touch the body when the signal has aborted before', async () => {
      const { client } = await makePlace()
      const body = {
        [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
          throw new Error('the body was asked for')
        },
      }
      await expect(client.put('k', body, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    })

    test('takes 60 MB as a stream, pulling only so much ahead of the store', async () => {
      const { client } = await makePlace()
      const size = 60_000_003
      let asked = 0
      async function* counting(): AsyncGenerator<Uint8Array> {
        for await (const chunk of pattern(size, 1_000_000)) {
          asked += 1
          yield chunk
        }
      }
      expect(await client.put('big', counting())).toMatchObject({ key: 'big', size })
      expect(asked).toBe(61)
      expect(await isPattern(await client.get('big'), 0, size)).toBe(true)
      expect(await isPattern(await client.get('big', { start: 31_457_281 }), 31_457_281, size)).toBe(true)
    })

    test('with ifAbsent, rejects with EXISTS and changes nothing when the key is taken', async () => {
      const { client, unfinished } = await makePlace()
      expect(await client.put('c/k', bodyOf('first'), { ifAbsent: true })).toMatchObject({ size: 5 })
      for (const body of [bodyOf('second'), pattern(12 * MIB)]) {
        const error: unknown = await client.put('c/k', body, { ifAbsent: true }).catch((reason: unknown) => reason)
        expect(error).toBeInstanceOf(LitestreamError)
        expect(error).toMatchObject({ code: 'EXISTS', message: expect.stringContaining('c/k') })
      }
      expect(await text(client, 'c/k')).toBe('first')
      expect(await unfinished()).toEqual([])
      await client.delete(['c/k'])
      await client.put('c/k', pattern(12 * MIB), { ifAbsent: true })
      expect(await isPattern(await client.get('c/k'), 0, 12 * MIB)).toBe(true)
    })

    test('with ifAbsent, exactly one of ten at the same moment wins, and its object is there', async () => {
      const { client, other } = await makePlace()
      for (let round = 0; round < 5; round++) {
        const attempts = Array.from({ length: 10 }, (_, index) =>
          (index % 2 ? client : other).put(`race/${round}`, bodyOf(`writer ${index}`), { ifAbsent: true }),
        )
        const results = await Promise.allSettled(attempts)
        const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []))
        expect(winners).toHaveLength(1)
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'EXISTS' })
        }
        expect(await text(client, `race/${round}`)).toBe(`writer ${winners[0]}`)
      }
    })

    test('is safe for concurrent calls with deletions beside it', async () => {
      const { client } = await makePlace()
      const signal = new AbortController().signal
      await Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          const key = `busy/${index % 3}/${index}`
          await client.put(key, bodyOf(key), { signal })
          expect(await text(client, key, { signal })).toBe(key)
          await client.delete([key], signal)
        }),
      )
      expect(await keysBelow(client, '')).toEqual([])
    })

    test.each(['', '/a', 'a/', 'a//b', './a', 'a/../b', '..', 'a\0b'])('refuses the key %j', async (key) => {
      const { client } = await makePlace()
      await expect(client.put(key, bodyOf('x'))).rejects.toBeInstanceOf(LitestreamError)
      await expect(client.get(key)).rejects.toBeInstanceOf(LitestreamError)
      await expect(client.delete([key])).rejects.toBeInstanceOf(LitestreamError)
    })
  })

  describe('delete', () => {
    test('removes what is there and does not mind what is not', async () => {
      const { client } = await makePlace()
      await fill(client, ['d/a', 'd/b', 'd/c/e'])
      await client.delete(['d/a', 'd/missing', 'no/such/thing', 'd/c/e'])
      expect(await keysBelow(client, '')).toEqual(['d/b'])
      await client.delete([])
      await client.delete(['d/a'])
    })

    test('removes 2,500 objects', async () => {
      const { client } = await makePlace()
      const keys = numbered('many/', 2500)
      await fill(
        client,
        keys.filter((_, index) => index % 5 === 0 || index > 2400),
      )
      await client.put('many-others', bodyOf('x'))
      await client.delete(keys)
      expect(await keysBelow(client, '')).toEqual(['many-others'])
    })

    test('stops with ABORTED', async () => {
      const { client } = await makePlace()
      await client.put('k', bodyOf('x'))
      await expect(client.delete(['k'], AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
      await expect(collect(client.list('', AbortSignal.abort()))).rejects.toMatchObject({ code: 'ABORTED' })
      await expect(client.listNames('', AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
      expect(await keysBelow(client, '')).toEqual(['k'])
    })
  })

  test('close may be called again', async () => {
    const { client } = await makePlace()
    await client.put('k', bodyOf('x'))
    await client.close()
    await client.close()
  })
})

test('compareKeys is the order of the UTF-8 bytes', () => {
  expect(['b', 'a/', 'a', '😀', '～', 'a!'].sort(compareKeys)).toEqual(['a', 'a!', 'a/', 'b', '～', '😀'])
})
