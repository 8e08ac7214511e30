import { describe, expect, test } from 'vitest'
import {
  encodeTrailer,
  findTrailer,
  TRAILER_PAYLOAD_BYTES_MAX,
  TRAILER_TAIL_BYTES,
} from '../../../src/codec/trailer.js'

const payload = Buffer.from('{"version":1}')
const trailer = encodeTrailer(payload)

describe('trailer', () => {
  test('has the layout of its byte table', () => {
    expect(trailer.toString('hex')).toBe(
      // magic, length, payload, payload length, CRC-32, tag
      `5c2a4d181d000000${payload.toString('hex')}0d000000${'CRC32'}${Buffer.from('LSNTRLR1').toString('hex')}`.replace(
        'CRC32',
        trailer.subarray(-12, -8).toString('hex'),
      ),
    )
    // The check value that every description of this CRC-32 gives.
    expect(encodeTrailer(Buffer.from('123456789')).readUInt32LE(8 + 9 + 4)).toBe(0xcbf43926)
  })

  test('is found at the end of any tail that holds it whole', () => {
    expect(findTrailer(trailer)).toEqual(payload)
    expect(findTrailer(Buffer.concat([Buffer.alloc(500, 1), trailer]))).toEqual(payload)
    expect(findTrailer(new Uint8Array(Buffer.concat([trailer, trailer])).subarray(3))).toEqual(payload)
  })

  test('is not found when cut, not at the end, or not there', () => {
    for (let cut = 1; cut <= trailer.length; cut++) {
      expect(findTrailer(trailer.subarray(cut))).toBeUndefined()
      expect(findTrailer(trailer.subarray(0, -cut))).toBeUndefined()
    }
    expect(findTrailer(Buffer.concat([trailer, Buffer.of(0)]))).toBeUndefined()
    expect(findTrailer(Buffer.alloc(5000))).toBeUndefined()
  })

  test('the largest payload fits the suggested read, a larger one is refused', () => {
    const largest = encodeTrailer(Buffer.alloc(TRAILER_PAYLOAD_BYTES_MAX, 9))
    expect(largest.length).toBe(TRAILER_TAIL_BYTES)
    expect(findTrailer(largest)?.length).toBe(TRAILER_PAYLOAD_BYTES_MAX)
    expect(() => encodeTrailer(Buffer.alloc(TRAILER_PAYLOAD_BYTES_MAX + 1))).toThrow(RangeError)
  })
})
