// What a scanner tells beside the frames themselves: why it stopped, and which commits repeat the one before.

import { expect, test } from 'vitest'
import { FRAME_HEADER_BYTES } from '../../../src/sqlite/wal-format.js'
import { WalScanner } from '../../../src/sqlite/wal-scan.js'
import { type NaiveFrame, writeNaively } from '../../support/naive-wal.js'

const PAGE_SIZE = 512
const SALTS = [11, 22] as const

const frame = (page: number, commit: number, fill: number): NaiveFrame => ({
  page,
  commit,
  image: Buffer.alloc(PAGE_SIZE, fill),
})

function wal(frames: NaiveFrame[]) {
  const bytes = writeNaively({ pageSize: PAGE_SIZE, salts: SALTS, bigEndian: false, frames })
  const checksum1 = bytes.readUInt32BE(24)
  const checksum2 = bytes.readUInt32BE(28)
  const scanner = new WalScanner(PAGE_SIZE, false, ...SALTS, { frames: 0, checksum1, checksum2 })
  return { scanner, bytes: Buffer.from(bytes.subarray(32)) }
}

const frameBytes = FRAME_HEADER_BYTES + PAGE_SIZE

test('a repeated commit is one of the same page, size and content directly behind the other', () => {
  const frames = [frame(1, 0, 1), frame(2, 5, 2), frame(2, 5, 2), frame(2, 5, 2), frame(2, 6, 2), frame(2, 6, 3)]
  const { scanner, bytes } = wal(frames)
  expect(scanner.scan(bytes, 6)).toMatchObject({ frames: 6, commitCount: 5, repeatedCommits: 2, stop: undefined })
})

test('a repetition is seen across pieces, and not across a frame in between', () => {
  const { scanner, bytes } = wal([frame(2, 5, 2), frame(2, 5, 2), frame(3, 0, 2), frame(2, 5, 2)])
  const results = [0, 1, 2, 3].map(
    (at) => scanner.scan(Buffer.from(bytes.subarray(at * frameBytes)), 1).repeatedCommits,
  )
  expect(results).toEqual([0, 1, 0, 0])
})

test.for([
  ['salts', 8],
  ['salts', 15],
  ['checksum', 16],
  ['checksum', 4],
  ['checksum', FRAME_HEADER_BYTES + 100],
] as const)('it stops for %s at byte %i, before the frame, and can go on from there', ([stop, at]) => {
  const { scanner, bytes } = wal([frame(1, 1, 1), frame(2, 2, 2), frame(3, 3, 3)])
  const broken = Buffer.from(bytes)
  broken[frameBytes + at]! ^= 0x80
  expect(scanner.scan(broken, 3)).toMatchObject({ frames: 1, commitCount: 1, stop })
  expect(scanner.frames).toBe(1)
  // The writer has finished the frame meanwhile.
  expect(scanner.scan(Buffer.from(bytes.subarray(frameBytes)), 2)).toMatchObject({ frames: 2, stop: undefined })
  expect(scanner.cursor(9)).toMatchObject({ salt1: 11, salt2: 22, frames: 3, iChange: 9 })
})

test('page 0 ends the chain, whatever its checksum', () => {
  const { scanner, bytes } = wal([frame(1, 1, 1), frame(0, 2, 2)])
  expect(scanner.scan(bytes, 2)).toMatchObject({ frames: 1, stop: 'page-number' })
})
