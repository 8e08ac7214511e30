// Bytes from outside, one format at a time: LZ4 frames, trailers, provenance, WAL, wal-index, database header, object names.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeTrailer, findTrailer, TRAILER_PAYLOAD_BYTES_MAX } from '../../src/codec/trailer.js'
import { parseKey, segmentKey, snapshotKey } from '../../src/model/layout.js'
import { encodeProvenance, type Provenance, parseProvenance } from '../../src/model/provenance.js'
import { formatMoment, parseRfc3339 } from '../../src/model/target.js'
import { buildTimelines, firstMissing } from '../../src/model/timeline.js'
import { parseDatabaseHeader } from '../../src/sqlite/database-header.js'
import { FRAME_HEADER_BYTES, parseWalHeader, WAL_HEADER_BYTES } from '../../src/sqlite/wal-format.js'
import { parseWalIndex, WAL_INDEX_BYTES } from '../../src/sqlite/wal-index.js'
import { WalScanner } from '../../src/sqlite/wal-scan.js'
import { decode, encode, MIB, mixture } from '../support/codec.js'
import { changes, corpus, FUZZ, harmless, mutated } from './fuzz.js'

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array))

const PROVENANCE: Provenance = {
  version: 1,
  program: 'litestream-node 0.1.0',
  writer: '0123456789abcdef',
  kind: 'segment',
  pageSize: 4096,
  pageCount: 17,
  observedAtMs: 1_790_000_000_000,
  source: { cursor: { salt1: 1, salt2: 2, frames: 3, checksum1: 4, checksum2: 5, iChange: 6 } },
  bytes: 4152,
  key: 'generations/0123456789abcdef/wal/00000001_00001038.wal.lz4',
  previous: { index: 0, offset: 4152 },
}

describe('LZ4 frames', () => {
  const contents = [Buffer.alloc(0), mixture(300, 1), mixture(70_000, 2), Buffer.alloc(300_000)]

  test('the corpus', async () => {
    for (const [name, object] of corpus('frame')) {
      const result = await harmless(() => decode(object, { contentBytesMax: 8 * MIB }))
      if ('value' in result) expect(result.value.length, name).toBeLessThanOrEqual(8 * MIB)
    }
  })

  test('changed anywhere: the same content, or damaged', async () => {
    const objects = await Promise.all(
      contents.map((content) => encode(content, { trailer: () => encodeProvenance(PROVENANCE) })),
    )
    await fc.assert(
      fc.asyncProperty(fc.nat(contents.length - 1), changes, async (which, list) => {
        const object = mutated(objects[which] as Buffer, list)
        const result = await harmless(() => decode(object))
        if ('value' in result) expect(result.value.equals(contents[which] as Buffer)).toBe(true)
      }),
      FUZZ.of(400),
    )
  })

  test('any bytes behind a valid beginning', async () => {
    const heads = ['', '04224d18', '04224d186440a7', '04224d186470b9', '502a4d18', '5c2a4d18ffffffff', '02214c18']
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...heads), bytes, async (head, rest) => {
        await harmless(() => decode(Buffer.concat([Buffer.from(head, 'hex'), rest])))
      }),
      FUZZ.of(300),
    )
  })
})

describe('trailers and provenance', () => {
  const trailer = encodeTrailer(encodeProvenance(PROVENANCE))

  test('a changed trailer is none, or still says the same', () => {
    const property = fc.property(changes, bytes, (list, before) => {
      const found = findTrailer(Buffer.concat([before, mutated(trailer, list)]))
      if (found) expect(parseProvenance(found)).toEqual(PROVENANCE)
    })
    fc.assert(property, FUZZ.of(500))
  })

  const wild = fc.oneof(
    fc.constantFrom(-1, 0.5, 1e308, 2 ** 53, 8.64e15 + 1, Number.MAX_SAFE_INTEGER, '', 'x'.repeat(3000), null, [], {}),
    fc.jsonValue({ maxDepth: 2 }),
  )
  const fields = fc.dictionary(
    fc.constantFrom(...Object.keys(PROVENANCE), '__proto__', 'overlayBytes', 'toString'),
    wild,
  )

  test('any JSON: passed over, or every number in it can be used', () => {
    const property = fc.property(fields, (others) => {
      const text = JSON.stringify({ ...PROVENANCE, ...others })
      const found = parseProvenance(new TextEncoder().encode(text))
      if (!found) return
      expect(Number.isSafeInteger(found.pageCount) && found.pageCount >= 0 && found.pageCount < 2 ** 32).toBe(true)
      expect(formatMoment(found.observedAtMs)).toMatch(/Z$/)
      if (encodeProvenance(found).length <= TRAILER_PAYLOAD_BYTES_MAX) encodeTrailer(encodeProvenance(found))
    })
    fc.assert(property, FUZZ.of(500))
    for (const [, payload] of corpus('provenance')) expect(parseProvenance(payload)).toBeUndefined()
  })

  test('nesting without end', () => {
    expect(parseProvenance(Buffer.from('['.repeat(1_000_000)))).toBeUndefined()
    expect(parseProvenance(Buffer.from(`${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`))).toBeUndefined()
  })
})

describe('what SQLite writes', () => {
  test('a WAL header and frames of any bytes: only whole frames with both salts and the checksum', () => {
    const header = fc.oneof(bytes, fc.constant(Buffer.alloc(WAL_HEADER_BYTES)))
    const property = fc.property(
      header,
      fc.constantFrom(512, 1024, 4096),
      fc.nat(4),
      fc.infiniteStream(fc.nat(255)),
      (head, pageSize, count, stream) => {
        parseWalHeader(head)
        const frameBytes = FRAME_HEADER_BYTES + pageSize
        const piece = Buffer.from(new ArrayBuffer(frameBytes * count))
        for (let at = 0; at < piece.length; at += 64) piece[at] = stream.next().value as number
        const scanner = new WalScanner(pageSize, false, 0, 0, { frames: 0, checksum1: 0, checksum2: 0 })
        const { frames } = scanner.scan(piece, count)
        expect(frames).toBeLessThanOrEqual(count)
      },
    )
    fc.assert(property, FUZZ.of(200))
  })

  test('a wal-index of any bytes is torn, or agrees with itself', () => {
    const property = fc.property(
      fc.uint8Array({ minLength: WAL_INDEX_BYTES, maxLength: WAL_INDEX_BYTES }),
      fc.boolean(),
      (half, twice) => {
        const index = Buffer.from(half)
        if (twice) index.copy(index, 48, 0, 48)
        const found = parseWalIndex(index)
        if (found) expect(index.subarray(0, 48).equals(index.subarray(48, 96))).toBe(true)
      },
    )
    fc.assert(property, FUZZ.of(300))
  })

  test('a database header of any bytes', () => {
    const valid = Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(84)])
    valid.writeUInt16BE(4096, 16)
    const property = fc.property(
      fc.oneof(
        bytes,
        changes.map((list) => mutated(valid, list)),
      ),
      (head) => {
        const found = parseDatabaseHeader(head)
        if (found) expect(Math.log2(found.pageSize) % 1).toBe(0)
      },
    )
    fc.assert(property, FUZZ.of(300))
  })
})

describe('object names', () => {
  const generation = fc.oneof(
    fc.constant('0123456789abcdef'),
    fc.constantFrom('..', '.', '', 'ABCDEF0123456789', '0123456789abcdef\n'),
  )
  const name = fc.oneof(
    fc.constantFrom(
      '00000000.snapshot.lz4',
      '00000001_00000020.wal.lz4',
      'ffffffff_ffffffff.wal.lz4',
      '../00000000.snapshot.lz4',
    ),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ minLength: 500, maxLength: 2000 }),
  )
  const key = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('generations', 'Generations', '/generations', '..'),
        generation,
        fc.constantFrom('wal', 'snapshots', 'Wal', ''),
        name,
      )
      .map((parts) => parts.join('/')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  )

  test('any key is no name of ours, or is made again from what it stands for', () => {
    const property = fc.property(key, (text) => {
      const found = parseKey(text)
      if (!found) return
      const again =
        found.kind === 'snapshot'
          ? snapshotKey(found.generation, found.index)
          : segmentKey(found.generation, found.index, found.offset)
      expect(again).toBe(text)
    })
    fc.assert(property, FUZZ.of(1000))
  })

  test('any listing makes timelines in order, whatever its sizes and times', () => {
    const object = fc.record({
      key,
      size: fc.constantFrom(0, 1, 2 ** 40, Number.MAX_SAFE_INTEGER),
      modifiedAtMs: fc.constantFrom(0, -1, 8.64e15, 1e300, 1_790_000_000_000),
    })
    const property = fc.property(fc.array(object, { maxLength: 30 }), (objects) => {
      for (const timeline of buildTimelines(objects)) {
        expect(timeline.snapshots.length + timeline.segments.length).toBeGreaterThan(0)
        firstMissing(timeline.segments, timeline.generation, 0)
        expect(formatMoment(timeline.firstAtMs)).toMatch(/Z$/)
        expect(formatMoment(timeline.lastAtMs)).toMatch(/Z$/)
      }
    })
    fc.assert(property, FUZZ.of(300))
  })

  test('any text is a moment that can be printed, or none', () => {
    const digits = fc.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)$/)
    const property = fc.property(fc.oneof(digits, fc.string({ unit: 'binary' })), (text) => {
      const ms = parseRfc3339(text)
      if (ms !== undefined) expect(formatMoment(ms)).toMatch(/Z$/)
    })
    fc.assert(property, FUZZ.of(500))
  })
})
