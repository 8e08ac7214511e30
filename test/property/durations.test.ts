import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  DURATION_MAX,
  DURATION_MIN,
  formatDuration,
  formatMilliseconds,
  nanosecondsToMs,
  parseDuration,
} from '../../src/model/duration.js'

// Magnitudes from nanoseconds to the limits, not only the huge numbers that a uniform choice would give.
const durations = fc.oneof(
  fc.bigInt({ min: DURATION_MIN, max: DURATION_MAX }),
  fc
    .tuple(fc.bigInt({ min: -9999n, max: 9999n }), fc.integer({ min: 0, max: 14 }))
    .map(([a, b]) => a * 10n ** BigInt(b)),
  fc.constantFrom(DURATION_MIN, DURATION_MAX, 0n, 999n, 1000n, 59_999_999_999n, 60_000_000_000n, 3_600_000_000_000n),
)

describe('Go durations', () => {
  test('parse(format(x)) = x for every 64-bit value', () => {
    fc.assert(
      fc.property(durations, (x) => {
        expect(parseDuration(formatDuration(x))).toEqual({ nanoseconds: x })
      }),
      { numRuns: 1000 },
    )
  })

  test('a sum of whole parts is read as their sum, in any order', () => {
    const units = {
      ns: 1n,
      us: 1000n,
      µs: 1000n,
      ms: 1_000_000n,
      s: 10n ** 9n,
      m: 60n * 10n ** 9n,
      h: 3600n * 10n ** 9n,
    }
    const part = fc.tuple(
      fc.bigInt({ min: 0n, max: 99_999n }),
      fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const text = parts.map(([count, unit]) => `${count}${unit}`).join('')
        const sum = parts.reduce((total, [count, unit]) => total + count * units[unit], 0n)
        expect(parseDuration(text)).toEqual({ nanoseconds: sum })
        expect(parseDuration(`-${text}`)).toEqual({ nanoseconds: -sum })
      }),
    )
  })

  test('any text gives a duration within the limits or a problem, never an exception', () => {
    const texts = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789.-+nuµmsh') }))
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseDuration(text)
        if ('problem' in parsed) expect(parsed.problem).not.toBe('')
        else expect(parsed.nanoseconds >= DURATION_MIN && parsed.nanoseconds <= DURATION_MAX).toBe(true)
      }),
    )
  })

  test('milliseconds keep their nanoseconds for everything under a day', () => {
    const day = 86_400_000_000_000n
    fc.assert(
      fc.property(fc.bigInt({ min: -day, max: day }), (x) => {
        expect(formatMilliseconds(nanosecondsToMs(x))).toBe(formatDuration(x))
      }),
    )
  })
})

describe("Go's own output", () => {
  test.each([
    [0n, '0s'],
    [1n, '1ns'],
    [1100n, '1.1µs'],
    [959_835n, '959.835µs'],
    [2_200_000n, '2.2ms'],
    [16_079_637n, '16.079637ms'],
    [3_300_000_000n, '3.3s'],
    [4_729_294_691n, '4.729294691s'],
    [109_000_000_000n, '1m49s'],
    [245_000_000_000n, '4m5s'],
    [245_001_000_000n, '4m5.001s'],
    [18_367_001_000_000n, '5h6m7.001s'],
    [480_000_000_001n, '8m0.000000001s'],
    [3_600_000_000_000n, '1h0m0s'],
    [DURATION_MAX, '2562047h47m16.854775807s'],
    [DURATION_MIN, '-2562047h47m16.854775808s'],
  ])('%d is %s', (nanoseconds, text) => {
    expect(formatDuration(nanoseconds)).toBe(text)
  })

  test.each([
    ['+5s', 5_000_000_000n],
    ['-.5s', -500_000_000n],
    ['1.s', 1_000_000_000n],
    ['.00000000000000000000h', 0n],
    ['1.0000100000000000000000h', 3_600_036_000_000n],
    ['0.3333333333333333333h', 1_200_000_000_000n],
    ['0.9223372036854775807ns', 0n],
    ['52763797000ns', 52_763_797_000n],
    ['2562047h47m16.854775807s', DURATION_MAX],
    ['-9223372036854775808ns', DURATION_MIN],
    ['12μs', 12_000n],
  ])('%s is read', (text, nanoseconds) => {
    expect(parseDuration(text)).toEqual({ nanoseconds })
  })

  test.each([
    '',
    '3',
    '-',
    's',
    '.',
    '-.',
    '.s',
    '+.s',
    '1d',
    '1h 2m',
    '9223372036854775808ns',
    '3000000h',
    '--1s',
    '1S',
  ])('%j is refused', (text) => {
    expect(parseDuration(text)).toHaveProperty('problem')
  })
})
