import { describe, expect, test } from 'vitest'
import {
  booleanFlag,
  choiceFlag,
  commonFlags,
  hexIndexFlag,
  integerFlag,
  parseArgs,
  stringFlag,
} from '../../../src/cli/args.js'

const FLAGS = {
  ...commonFlags,
  exec: stringFlag(),
  index: hexIndexFlag(),
  parallelism: integerFlag(8),
  'if-replica-exists': booleanFlag(),
  check: choiceFlag(['none', 'quick'], 'quick'),
}

describe('errors of the original, to the letter', () => {
  test.each([
    [['-foo'], 'flag provided but not defined: -foo'],
    [['--foo=1'], 'flag provided but not defined: -foo'],
    [['-toString'], 'flag provided but not defined: -toString'],
    [['-exec'], 'flag needs an argument: -exec'],
    [['-index', 'zz'], 'invalid value "zz" for flag -index: invalid hexadecimal format'],
    [['-index', '80000000'], 'invalid value "80000000" for flag -index: invalid hexadecimal format'],
    [['-index=0x1'], 'invalid value "0x1" for flag -index: invalid hexadecimal format'],
    [['-parallelism', 'x'], 'invalid value "x" for flag -parallelism: parse error'],
    [['-parallelism='], 'invalid value "" for flag -parallelism: parse error'],
    [
      ['-parallelism', '99999999999999999999'],
      'invalid value "99999999999999999999" for flag -parallelism: value out of range',
    ],
    [['-if-replica-exists=maybe'], 'invalid boolean value "maybe" for -if-replica-exists: parse error'],
    [['---exec'], 'bad flag syntax: ---exec'],
    [['-=x'], 'bad flag syntax: -=x'],
    [['--=x'], 'bad flag syntax: --=x'],
    [['-check', 'full'], 'invalid value "full" for flag -check: must be one of none, quick'],
  ])('%j', (args, message) => {
    expect(() => parseArgs(args, FLAGS)).toThrow(expect.objectContaining({ code: 'USAGE', message }))
  })
})

describe('values', () => {
  test.each([
    [['-exec', 'v'], { exec: 'v' }],
    [['--exec=a=b'], { exec: 'a=b' }],
    [['-exec', '-config'], { exec: '-config' }],
    [['-exec', '--', 'x'], { exec: '--' }],
    [['-exec', 'a', '--exec', 'b'], { exec: 'b' }],
    [['-index', '1f'], { index: 31 }],
    [['-index', '7fffffff'], { index: 0x7fff_ffff }],
    [['-parallelism', '0x10'], { parallelism: 16 }],
    [['-parallelism', '-1_0'], { parallelism: -10 }],
    [['-parallelism', '010'], { parallelism: 8 }],
    [['-if-replica-exists'], { 'if-replica-exists': true }],
    [['-if-replica-exists=F'], { 'if-replica-exists': false }],
    [[], { exec: '', index: undefined, parallelism: 8, 'if-replica-exists': false, check: 'quick' }],
  ])('%j', (args, expected) => {
    expect(parseArgs(args, FLAGS)?.flags).toMatchObject(expected)
  })

  test.each([
    [['-if-replica-exists', 'app.db'], ['app.db']],
    [
      ['app.db', '-exec', 'x'],
      ['app.db', '-exec', 'x'],
    ],
    [['--', '-exec'], ['-exec']],
    [
      ['-', '-exec'],
      ['-', '-exec'],
    ],
    [
      ['', '-exec'],
      ['', '-exec'],
    ],
  ])('%j leaves %j', (args, operands) => {
    expect(parseArgs(args, FLAGS)?.operands).toEqual(operands)
  })

  test.each([['-h'], ['-help'], ['--help'], ['--h']])('%s asks for help', (flag) => {
    expect(parseArgs([flag], FLAGS)).toBeUndefined()
    expect(parseArgs(['-exec', 'x', flag, '-nonsense'], FLAGS)).toBeUndefined()
  })
})
