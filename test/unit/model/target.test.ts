import { expect, test } from 'vitest'
import { formatMoment, parseRfc3339 } from '../../../src/model/target.js'

test.each([
  ['2000-01-01T00:00:00Z', Date.UTC(2000, 0, 1)],
  ['2026-11-22T13:14:15.439Z', Date.UTC(2026, 10, 22, 13, 14, 15, 439)],
  ['2026-11-22T13:14:15.4395Z', Date.UTC(2026, 10, 22, 13, 14, 15, 439) + 0.5],
  ['2026-11-22T13:14:15+02:30', Date.UTC(2026, 10, 22, 10, 44, 15)],
  ['2026-11-22T23:14:15-02:00', Date.UTC(2026, 10, 23, 1, 14, 15)],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
])('%s', (text, atMs) => {
  expect(parseRfc3339(text)).toBe(atMs)
  expect(formatMoment(atMs)).toBe(new Date(Math.floor(atMs)).toISOString())
})

test.each([
  '2026-11-22 13:14:15Z',
  '2026-11-22T13:14:15',
  '2026-11-22T13:14Z',
  '2026-11-22',
  '2026-02-29T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-11-22T24:00:00Z',
  '2026-11-22T13:14:60Z',
  '2026-11-22t13:14:15z',
  '2026-11-22T13:14:15+24:00',
  ' 2026-11-22T13:14:15Z',
  '2026-11-22T13:14:15.Z',
  '1700000000',
  '',
])('not RFC 3339: "%s"', (text) => {
  expect(parseRfc3339(text)).toBeUndefined()
})
