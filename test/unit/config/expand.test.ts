// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration has its own ${NAME}
import { describe, expect, test } from 'vitest'
import { expandEnvironment, rawOffset } from '../../../src/config/expand.js'
import { parseBytes, parseDurationMs } from '../../../src/config/units.js'

describe('expandEnvironment', () => {
  test.each([
    ['$A', 'x'],
    ['${A}', 'x'],
    ['$Ab $A-b ${A}b', ' x-b xb'],
    ['a$B', 'a'],
    ['${A:-def}', ''],
    ['$$ $# $@ $* $! $? $-', '      '],
    ['$1abc', 'abc'],
    ['${1}', ''],
    ['$', '$'],
    ['$ $. a$', '$ $. a$'],
    ['${}x', 'x'],
    ['\\$A', '\\x'],
    ["'$A' # $A", "'x' # x"],
    ['$é', '$é'],
    ['$toString ${constructor}', ' '],
  ])('%j gives %j', (raw, expected) => {
    expect(expandEnvironment(raw, { A: 'x' }).text).toBe(expected)
  })

  test('unset is not the same as empty, and a brace must close on its line', () => {
    const { expansions, unclosed } = expandEnvironment('$A $B ${C\n}', { A: '' })
    expect(expansions.map(({ name, unset }) => [name, unset])).toEqual([
      ['A', false],
      ['B', true],
    ])
    expect(unclosed).toEqual([6])
  })

  test('every place of the expanded text leads back to the file', () => {
    const raw = 'a$LONG-b${S}c$U-d'
    const { text, expansions } = expandEnvironment(raw, { LONG: 'xxxxxxxxxx', S: 's' })
    for (const letter of 'abcd') {
      expect(raw[rawOffset(expansions, text.indexOf(letter))]).toBe(letter)
    }
    expect(rawOffset(expansions, text.indexOf('xxxx') + 5)).toBe(raw.indexOf('$LONG'))
  })
})

describe('units', () => {
  test.each([
    ['128MiB', 134_217_728],
    ['1.5 kib', 1536],
    ['64MB', 64_000_000],
    ['7', 7],
    ['0', 0],
  ])('%s is %d bytes', (text, value) => {
    expect(parseBytes(text)).toEqual({ value })
  })

  test.each(['', 'MiB', '1 TiBs', '-1MiB', '1e3', '9007199254740993'])('%j is no size', (text) => {
    expect(parseBytes(text)).toHaveProperty('problem')
  })

  test('durations: zero needs no unit, weeks and days are spelled out', () => {
    expect(parseDurationMs('0')).toEqual({ value: 0 })
    expect(parseDurationMs('2w')).toEqual({ problem: expect.stringContaining('write 336h') })
    expect(parseDurationMs('1.5')).toEqual({ problem: expect.stringContaining('1.5 has no unit') })
  })
})
