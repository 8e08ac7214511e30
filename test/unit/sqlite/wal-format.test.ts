// Header and checksum of a WAL. What real WALs look like is tried in test/property/wal-scan.

import { describe, expect, test } from 'vitest'
import {
  encodeFrame,
  encodeWalHeader,
  frameOffset,
  parseWalHeader,
  WalChecksum,
} from '../../../src/sqlite/wal-format.js'

const written = { pageSize: 1024, checkpointSequence: 3, salt1: 0xfedcba98, salt2: 5 }

test('a header is parsed as it was encoded, and seeds the checksum of the first frame', () => {
  const checksum = new WalChecksum(false, 1, 2)
  const bytes = encodeWalHeader(written, checksum)
  const { checksum1, checksum2 } = checksum
  expect(parseWalHeader(bytes)).toEqual({ ...written, bigEndianChecksum: false, checksum1, checksum2 })
  expect(bytes.readUInt32BE(24)).toBe(checksum1)
})

test('a header is refused with any bit changed, and when it is cut', () => {
  const bytes = encodeWalHeader(written, new WalChecksum(false))
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    expect(parseWalHeader(changed), `bit ${bit}`).toBeUndefined()
  }
  expect(parseWalHeader(bytes.subarray(0, 31))).toBeUndefined()
})

test('frames lie behind the header, one after the other', () => {
  expect([0, 1, 2].map((frame) => frameOffset(frame, 4096))).toEqual([32, 4152, 8272])
  // Past 4 GiB, where 32-bit arithmetic would wrap.
  expect(frameOffset(2 ** 21, 65536)).toBe(32 + 2 ** 21 * 65560)
})

describe('the checksum', () => {
  const bytes = Buffer.from([...Array(64).keys()].map((i) => (i * 37 + 200) & 0xff))

  test('is that of the description, in both byte orders', () => {
    for (const bigEndian of [false, true]) {
      let [s0, s1] = [5, 0xfffffff0]
      for (let at = 0; at < bytes.length; at += 8) {
        const [x, y] = bigEndian
          ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
          : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
        s0 = (s0 + x + s1) % 2 ** 32
        s1 = (s1 + y + s0) % 2 ** 32
      }
      const checksum = new WalChecksum(bigEndian, 5, 0xfffffff0)
      checksum.addBytes(bytes, 0, bytes.length)
      expect([checksum.checksum1, checksum.checksum2]).toEqual([s0, s1])
    }
  })

  test('does not depend on where in memory the bytes lie', () => {
    const sums = [0, 1, 2, 3].map((shift) => {
      const moved = Buffer.from(new ArrayBuffer(80))
      bytes.copy(moved, shift)
      const checksum = new WalChecksum(false)
      checksum.addBytes(moved, shift, shift + 16)
      checksum.addBytes(moved, shift + 16, shift + 64)
      return [checksum.checksum1, checksum.checksum2]
    })
    expect(new Set(sums.map(String)).size).toBe(1)
  })
})

test('a frame is completed in place, behind whatever lies before it', () => {
  const { pageSize, salt1, salt2 } = written
  const frame = { page: 7, commitPageCount: 9, salt1, salt2, pageSize }
  const bytes = Buffer.from(new ArrayBuffer(8 + 24 + pageSize)).fill(0xaa)
  const checksum = new WalChecksum(false, 1, 2)
  encodeFrame(bytes, 8, frame, checksum)
  expect(bytes.subarray(0, 8)).toEqual(Buffer.alloc(8, 0xaa))
  const words = [8, 12, 16, 20, 24, 28].map((at) => bytes.readUInt32BE(at))
  expect(words).toEqual([7, 9, salt1, salt2, checksum.checksum1, checksum.checksum2])
  expect(bytes.subarray(32)).toEqual(Buffer.alloc(pageSize, 0xaa))
})
