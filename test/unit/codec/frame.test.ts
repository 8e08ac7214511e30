import { describe, expect, test } from 'vitest'
import { decodeFrame, encodeFrame } from '../../../src/codec/frame.js'
import { encodeTrailer } from '../../../src/codec/trailer.js'
import { collect, decode, encode, lz4Tool, MIB, mixture, noise, pieces } from '../../support/codec.js'

const EMPTY = '04224d186440a700000000055dcc02'
const second = () => encode(Buffer.from('second'))

describe('what is written', () => {
  test('no content: header, end mark and checksum', async () => {
    expect((await encode(Buffer.alloc(0))).toString('hex')).toBe(EMPTY)
  })

  test('content that cannot be compressed is stored as it is', async () => {
    const content = noise(100, 1)
    const object = await encode(content)
    expect(object.subarray(0, 11).toString('hex')).toBe('04224d186440a764000080')
    expect(object.subarray(11, 111).equals(content)).toBe(true)
    expect(object.length).toBe(119)
  })

  test.each([
    [1 << 16, '40a7'],
    [(1 << 16) + 1, '5008'],
    [1 << 18, '5008'],
    [(1 << 18) + 1, '6085'],
    [1 << 20, '6085'],
    [(1 << 20) + 1, '6085'],
    [9 << 20, '6085'],
  ])('%i bytes claim no larger blocks than they need', async (bytes, sizeAndCheck) => {
    const content = mixture(bytes, 1)
    const object = await encode(content)
    expect(object.subarray(0, 7).toString('hex')).toBe(`04224d1864${sizeAndCheck}`)
    expect((await decode(object)).equals(content)).toBe(true)
    expect(lz4Tool(object, '-d').equals(content)).toBe(true)
  })

  test('the source may use its buffer again', async () => {
    const buffer = Buffer.alloc(1000)
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 1; i <= 50; i++) yield buffer.fill(i)
    }
    const content = await decode(await collect(encodeFrame(source())))
    expect([...Array(50).keys()].map((i) => content[i * 1000 + 999])).toEqual([...Array(50).keys()].map((i) => i + 1))
  })

  test('the trailer is asked for after the source has ended', async () => {
    const order: string[] = []
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('content')
      order.push('ended')
    }
    const trailer = () => {
      order.push('trailer')
      return Buffer.from('payload')
    }
    const object = await collect(encodeFrame(source(), { trailer }))
    expect(order).toEqual(['ended', 'trailer'])
    expect(object.subarray(-encodeTrailer(Buffer.from('payload')).length)).toEqual(
      encodeTrailer(Buffer.from('payload')),
    )
  })
})

describe('the real lz4 tool', () => {
  const content = mixture(5 * MIB + 17, 42)

  test('reads what we write, and passes over the trailer', async () => {
    for (const part of [content, content.subarray(0, 0), content.subarray(0, 4 * MIB), noise(70_000, 2)]) {
      const object = await encode(part, { trailer: () => Buffer.from('{"version":1}') })
      expect(lz4Tool(object, '-d').equals(part)).toBe(true)
    }
  })

  test.each([
    ['-1'],
    ['-9'],
    ['-B4'],
    ['-B5'],
    ['-B6'],
    ['-B7'],
    ['-B4', '-BD'],
    ['-B7', '-BD'],
    ['-9', '-B5', '-BD', '-BX'],
    ['-BX'],
    ['--content-size'],
    ['--no-frame-crc'],
    ['-B4', '-BD', '-BX', '--no-frame-crc'],
  ])('writes frames that we read: %s %s %s', async (...args) => {
    expect((await decode(lz4Tool(content, ...args))).equals(content)).toBe(true)
    const stored = noise(200_000, 9)
    expect((await decode(lz4Tool(stored, ...args))).equals(stored)).toBe(true)
  })
})

describe('blocks of unusual shape', () => {
  test('linked blocks reach into stored ones before them', async () => {
    const stored = noise(65_536, 4)
    const content = Buffer.concat([stored, stored.subarray(100), noise(30_000, 5), stored.subarray(-30_000)])
    const object = lz4Tool(content, '-B4', '-BD')
    expect(object.length).toBeLessThan(content.length * 0.7)
    expect((await decode(object)).equals(content)).toBe(true)
  })

  test('independent blocks may be shorter than their maximum anywhere', async () => {
    const parts = [...Array(40).keys()].map((i) => mixture(i % 3 === 0 ? 150_000 : 10 * i + 1, i + 1))
    const frames = await Promise.all(parts.map((part) => encode(part)))
    const end = await encode(Buffer.concat(parts))
    const blocks = frames.map((frame) => frame.subarray(7, -8))
    const object = Buffer.concat([end.subarray(0, 7), ...blocks, end.subarray(-8)])
    expect((await decode(object)).equals(Buffer.concat(parts))).toBe(true)
  })
})

describe('what stands around the frame', () => {
  test('skippable frames before it are passed over', async () => {
    const skippable = Buffer.concat([Buffer.from('5f2a4d1803000000', 'hex'), Buffer.from('abc')])
    expect((await decode(Buffer.concat([skippable, skippable, await second()]))).toString()).toBe('second')
  })

  test.each(['x', 'some other bytes behind', '\x50\x2a\x4d\x18\x03', '\x50\x2a\x4d\x18\xff\xff\xff\xffshort'])(
    'other bytes behind it are ignored: %j',
    async (behind) => {
      expect((await decode(Buffer.concat([await second(), Buffer.from(behind, 'latin1')]))).toString()).toBe('second')
    },
  )

  test('a second frame is an error, at once and behind skippable frames', async () => {
    const [frame, trailer] = [await second(), encodeTrailer(Buffer.from('payload'))]
    for (const object of [
      Buffer.concat([frame, frame]),
      Buffer.concat([frame, trailer, frame]),
      Buffer.concat([frame, Buffer.from(EMPTY, 'hex')]),
    ]) {
      await expect(decode(object, {}, [3])).rejects.toMatchObject({ code: 'CORRUPT', message: /second LZ4 frame/ })
    }
  })

  test('the last trailer counts, also behind other bytes', async () => {
    const seen: string[] = []
    const object = Buffer.concat([
      await second(),
      encodeTrailer(Buffer.from('old')),
      Buffer.alloc(10_000, 7),
      encodeTrailer(Buffer.from('new')),
    ])
    await decode(object, { onTrailer: (payload) => seen.push(Buffer.from(payload).toString()) }, [1000])
    expect(seen).toEqual(['new'])
  })
})

describe('refused', () => {
  const cases: [string, string, RegExp][] = [
    ['empty', '', /it is empty/],
    ['not LZ4', '53514c69746520666f726d6174', /not an LZ4 frame, it begins with 53514c69/],
    ['short', '0422', /cut off in its first bytes/],
    ['legacy format', '02214c180000000000', /legacy/],
    ['only a skippable frame', '502a4d1800000000', /has no LZ4 frame/],
    ['cut header', '04224d1864', /cut off in its header/],
    ['version 2', '04224d18a470b9', /version 2/],
    ['reserved flag', '04224d186670b9', /do not exist/],
    ['block size 3', '04224d186430b9', /do not exist/],
    ['dictionary', '04224d18657001000000b9', /dictionary/],
    ['header checksum', '04224d186470b8', /header does not have the checksum/],
    ['no blocks', '04224d186470b9', /cut off behind its header/],
    ['huge block', '04224d186470b9ffffff7f', /block 1 claims 2147483647 bytes/],
    ['no end mark', '04224d186470b90100008041', /cut off in or behind block 1/],
    ['offset 0', '04224d186470b905000000104100000000000000', /block 1 cannot be decompressed/],
    ['content checksum', `${EMPTY.slice(0, -2)}03`, /checksum/],
  ]
  test.each(cases)('%s', async (_, hex, message) => {
    const error = { code: 'CORRUPT', message: expect.stringMatching(message) }
    await expect(decode(Buffer.from(hex, 'hex'))).rejects.toMatchObject(error)
    await expect(decode(Buffer.from(hex, 'hex'), {}, [1])).rejects.toThrow(/^some\/object\.lz4 is damaged: /)
  })

  test('a block without its checksum, where nothing else would show it', async () => {
    const content = noise(100, 3)
    const object = lz4Tool(content, '-BX', '--no-frame-crc')
    expect((await decode(object)).equals(content)).toBe(true)
    object[50]! ^= 1
    await expect(decode(object)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/block 1 does not have the checksum/),
    })
  })

  test('a content size that is not kept', async () => {
    const object = lz4Tool(Buffer.from('some content'), '--content-size', '--no-frame-crc')
    expect(object[4]! & 8).toBe(8)
    for (const [size, message] of [
      [13, /is 12 bytes long, its header says 13/],
      [11, /longer than the 11 bytes/],
    ] as const) {
      const changed = Buffer.from(object)
      changed.writeUInt32LE(size, 6)
      const { loadXxh32 } = await import('../../../src/codec/xxhash.js')
      changed[14] = (await loadXxh32()).of(changed.subarray(4, 14)) >>> 8
      await expect(decode(changed)).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringMatching(message) })
    }
  })

  test('more content than the caller allows', async () => {
    const object = await encode(Buffer.alloc(20 * MIB))
    expect(object.length).toBeLessThan(MIB / 8)
    await expect(decode(object, { contentBytesMax: 20 * MIB - 1 })).rejects.toMatchObject({ code: 'CORRUPT' })
    expect((await decode(object, { contentBytesMax: 20 * MIB })).length).toBe(20 * MIB)
  })
})

describe('sources', () => {
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(EMPTY.slice(0, 14), 'hex')
    throw new TypeError('the source failed')
  }

  test("the source's own error passes unchanged", async () => {
    await expect(collect(encodeFrame(failing()))).rejects.toThrow(new TypeError('the source failed'))
    await expect(collect(decodeFrame(failing(), { name: 'x' }))).rejects.toThrow(new TypeError('the source failed'))
  })

  test('a signal ends the wait for a source that hangs', async () => {
    const stop = new AbortController()
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(EMPTY.slice(0, 14), 'hex')
      setImmediate(() => stop.abort())
      await new Promise(() => undefined)
    }
    const { signal } = stop
    await expect(collect(encodeFrame(hanging(), { signal }))).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(collect(decodeFrame(hanging(), { name: 'x', signal }))).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('a signal that fires between blocks', async () => {
    const stop = new AbortController()
    const object = await encode(Buffer.alloc(40 * MIB))
    const read = async () => {
      for await (const _ of decodeFrame(pieces(object), { name: 'x', signal: stop.signal })) stop.abort()
    }
    await expect(read()).rejects.toMatchObject({ code: 'ABORTED', message: 'stopped while reading x' })
  })

  test('no more is read ahead than blocks in flight need', async () => {
    let given = 0
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (; given < 40; given++) yield Buffer.alloc(MIB)
    }
    const frame = encodeFrame(source(), { blocksInFlight: 2 })
    await frame.next()
    await frame.next()
    expect(given).toBeLessThanOrEqual(3 * 4)
    await frame.return()
  })
})
