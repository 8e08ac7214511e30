import { describe, expect, test } from 'vitest'
import { formatLag, formatSeconds, formatTable } from '../../../src/cli/output.js'

describe('formatTable', () => {
  test('columns are two spaces apart, the last one is not padded', () => {
    const table = formatTable(
      ['path', 'replicas'],
      [
        ['/data/app.db', 'first,second'],
        ['/data/é.db', ''],
      ],
    )
    expect(table).toBe('path          replicas\n/data/app.db  first,second\n/data/é.db    \n')
  })

  test('no rows: the header alone', () => {
    expect(formatTable(['a', 'b'], [])).toBe('a  b\n')
  })
})

describe('formatLag', () => {
  test.each([
    [12_345.678, '12s'],
    [109_999, '1m49s'],
    [2_699, '2.6s'],
    [10_000, '10s'],
    [1_000, '1s'],
    [999.9, '999ms'],
    [224.7, '224ms'],
    [-14.9, '-14ms'],
    [-2_650, '-2.6s'],
    [0.5, '500µs'],
    [0, '0s'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatLag(ms)).toBe(text)
  })
})

test('formatSeconds cuts to whole seconds, in UTC', () => {
  expect(formatSeconds(Date.parse('2026-11-22T13:24:01.999Z'))).toBe('2026-11-22T13:24:01Z')
})
