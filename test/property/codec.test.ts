import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeFrame } from '../../src/codec/frame.js'
import { findTrailer } from '../../src/codec/trailer.js'
import { isLitestreamError } from '../../src/errors.js'
import { collect, contents, decode, encode, lz4Tool, MIB, makeContent } from '../support/codec.js'

const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.constantFrom(4096, 65_536, 5 * MIB)), {
  minLength: 1,
  maxLength: 6,
})
const small = fc.integer({ min: 0, max: 40_000 })
/** Around the length of our blocks, its double, the longest that are compressed densely, and the longest that there can be. */
const boundaries = fc
  .tuple(fc.constantFrom(0, 65_536, MIB, 2 * MIB, 4 * MIB, 8 * MIB), fc.integer({ min: -2, max: 2 }))
  .map(([length, more]) => Math.max(0, length + more))

describe('round trip', () => {
  test('short contents in any pieces, with and without a trailer', async () => {
    await fc.assert(
      fc.asyncProperty(
        contents(small),
        chunkSizes,
        fc.option(fc.uint8Array({ maxLength: 2000 }), { nil: undefined }),
        async (shape, sizes, payload) => {
          const content = makeContent(shape)
          const object = await encode(content, { trailer: () => payload }, sizes)
          const trailers: Uint8Array[] = []
          const read = await decode(object, { onTrailer: (bytes) => trailers.push(bytes) }, sizes)
          expect(read.equals(content)).toBe(true)
          expect(trailers.map((bytes) => [...bytes])).toEqual(payload === undefined ? [] : [[...payload]])
          expect(findTrailer(object)?.length).toBe(payload?.length)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('lengths around block boundaries, any number of blocks in flight', async () => {
    await fc.assert(
      fc.asyncProperty(
        contents(boundaries),
        chunkSizes,
        fc.integer({ min: 1, max: 5 }),
        async (shape, sizes, inFlight) => {
          const content = makeContent(shape)
          const pieces = sizes.map((size) => Math.max(size, content.length >>> 12))
          const object = await encode(content, { blocksInFlight: inFlight }, pieces)
          const read = await decode(object, {}, pieces)
          expect(read.equals(content)).toBe(true)
          expect(object.length).toBeLessThanOrEqual(content.length + 15 + 4 * Math.ceil(content.length / MIB))
        },
      ),
      { numRuns: 30 },
    )
  })
})

/** What came before the end or the error, and the error. */
async function outcome(object: Uint8Array): Promise<{ content: Buffer; error?: unknown }> {
  try {
    return { content: await decode(object) }
  } catch (error) {
    return { content: Buffer.alloc(0), error }
  }
}

async function expectRefusedOrSame(object: Uint8Array, content: Buffer): Promise<boolean> {
  const result = await outcome(object)
  if (result.error === undefined) {
    expect(result.content.equals(content)).toBe(true)
    return false
  }
  if (!isLitestreamError(result.error, 'CORRUPT')) throw result.error
  expect(result.error.message).toContain('some/object.lz4')
  return true
}

describe('damage', () => {
  test('every single flipped bit of a small object is refused, or changes nothing', async () => {
    const content = makeContent({ kind: 'mixture', length: 700, seed: 5 })
    const object = await encode(content, { trailer: () => Buffer.from('{"a":1}') })
    const frameBytes = (await encode(content)).length
    let refusedBits = 0
    for (let bit = 0; bit < object.length * 8; bit++) {
      const changed = Buffer.from(object)
      changed[bit >>> 3]! ^= 1 << (bit & 7)
      const refused = await expectRefusedOrSame(changed, content)
      if (bit >>> 3 >= frameBytes) expect({ bit, trailer: findTrailer(changed) }).toEqual({ bit, trailer: undefined })
      else if (refused) refusedBits++
    }
    // What is accepted nevertheless: a match that points to another place with the same bytes.
    expect(refusedBits).toBeGreaterThan(frameBytes * 8 * 0.99)
  })

  test('every cut of a small object is refused, or harmless because the frame is whole', async () => {
    const content = makeContent({ kind: 'mixture', length: 700, seed: 6 })
    const object = await encode(content, { trailer: () => Buffer.from('{"a":1}') })
    const frameBytes = (await encode(content)).length
    for (let length = 0; length < object.length; length++) {
      const refused = await expectRefusedOrSame(object.subarray(0, length), content)
      expect({ length, refused }).toEqual({ length, refused: length < frameBytes })
    }
  })

  const edits = fc.array(
    fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      kind: fc.constantFrom('set', 'insert', 'remove', 'cut', 'repeat'),
      value: fc.integer({ min: 0, max: 255 }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  const apply = (object: Buffer, list: typeof edits extends fc.Arbitrary<infer T> ? T : never): Buffer => {
    let bytes = object
    for (const { at, kind, value } of list) {
      const i = Math.floor(at * bytes.length)
      const head = bytes.subarray(0, i)
      if (kind === 'set') bytes = Buffer.concat([head, Buffer.of(value), bytes.subarray(i + 1)])
      else if (kind === 'insert') bytes = Buffer.concat([head, Buffer.of(value), bytes.subarray(i)])
      else if (kind === 'remove') bytes = Buffer.concat([head, bytes.subarray(i + 1 + value)])
      else if (kind === 'cut') bytes = head
      else bytes = Buffer.concat([head, bytes.subarray(Math.max(0, i - value))])
    }
    return bytes
  }

  test('edits of our frames never give other content or another kind of error', async () => {
    await fc.assert(
      fc.asyncProperty(contents(small), edits, async (shape, list) => {
        const content = makeContent(shape)
        await expectRefusedOrSame(apply(await encode(content), list), content)
      }),
      { numRuns: 400 },
    )
  })

  test.each([['-B4', '-BD'], ['-BX'], ['-B4', '-BD', '-BX', '--content-size']])(
    'edits of frames of the tool (%s) neither',
    async (...args) => {
      const content = makeContent({ kind: 'mixture', length: 150_000, seed: 11 })
      const object = lz4Tool(content, ...args)
      await fc.assert(
        fc.asyncProperty(edits, async (list) => {
          await expectRefusedOrSame(apply(object, list), content)
        }),
        { numRuns: 100 },
      )
    },
  )

  test('any bytes behind a good header end in content or CORRUPT', async () => {
    const header = fc.constantFrom('04224d186470b9', '04224d18404077' /* linked, no checksum */)
    await fc.assert(
      fc.asyncProperty(header, fc.uint8Array({ maxLength: 300 }), async (start, rest) => {
        const block = Buffer.alloc(4)
        block.writeUInt32LE(rest.length, 0)
        const object = Buffer.concat([Buffer.from(start, 'hex'), block, rest, Buffer.alloc(4)])
        const { error } = await outcome(object)
        if (error !== undefined && !isLitestreamError(error, 'CORRUPT')) throw error
      }),
      { numRuns: 500 },
    )
  })
})

describe('other forms of the frame', () => {
  test('frames of the real tool, cut into any pieces, with any options', async () => {
    const flag = (...names: string[]): fc.Arbitrary<string> => fc.constantFrom('', ...names)
    const args = fc
      .tuple(flag('-9', '-12'), flag('-B4', '-B5', '-B6', '-B7'), flag('-BD'), flag('-BX'), flag('--no-frame-crc'))
      .map((list) => list.filter((arg) => arg !== ''))
    await fc.assert(
      fc.asyncProperty(contents(fc.integer({ min: 0, max: 300_000 })), args, chunkSizes, async (shape, list, sizes) => {
        const content = makeContent(shape)
        const object = lz4Tool(content, ...list)
        const pieces = sizes.map((size) => Math.max(size, object.length >>> 12))
        expect((await decode(object, {}, pieces)).equals(content)).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  test('stopping early lets the source go and waits for it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 3 }), async (take) => {
        const object = await encode(makeContent({ kind: 'noise', length: 9 * MIB, seed: 3 }))
        let released = false
        const source = async function* (): AsyncGenerator<Uint8Array> {
          try {
            for (let at = 0; at < object.length; at += 65_536) yield object.subarray(at, at + 65_536)
          } finally {
            await setImmediate()
            released = true
          }
        }
        let seen = 0
        const content = decodeFrame(source(), { name: 'x' })
        for await (const _ of content) if (seen++ >= take) break
        if (seen > take) await collect(content)
        expect(released).toBe(true)
      }),
      { numRuns: 4 },
    )
  })
})
