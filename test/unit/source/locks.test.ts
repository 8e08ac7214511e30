// Whether a text like one of /proc/self/fdinfo says that we hold SQLite's dead-man-switch lock.

import { expect, test } from 'vitest'
import { holdsDeadManSwitch } from '../../../src/source/locks.js'

const ours = 'lock:\t1: POSIX  ADVISORY  READ  4242 08:01:777 128 128'

test.for<[string, string, boolean]>([
  ['the lock alone', ours, true],
  [
    'among others',
    `pos:\t0\nflags:\t02500002\nino:\t777\nlock:\t9: FLOCK  ADVISORY  WRITE 4242 08:01:777 0 EOF\n${ours}\nlock:\t2: POSIX ADVISORY WRITE 1 00:10:777 0 EOF\n`,
    true,
  ],
  ['in a range', 'lock:\t1: POSIX  ADVISORY  READ  4242 fd:00:777 123 130', true],
  ['to the end of the file', 'lock:\t1: POSIX  ADVISORY  READ  4242 fd:00:777 100 EOF', true],
  ['of a file system without a device of its own', 'lock:\t1: POSIX ADVISORY READ 4242 00:2a:777 128 128', true],
  ['nothing', '', false],
  ['of another process', ours.replace('4242', '4243'), false],
  ['on another file', ours.replace(':777', ':7777'), false],
  ['exclusive: then we are not readers among others', ours.replace('READ', 'WRITE'), false],
  ['on the bytes before it', ours.replace('128 128', '120 127'), false],
  ['on the bytes behind it', ours.replace('128 128', '129 EOF'), false],
  ['by flock', ours.replace('POSIX', 'FLOCK'), false],
  ['only waited for', ours.replace('1: ', '1: -> '), false],
])('%s', ([, locks, expected]) => {
  expect(holdsDeadManSwitch(locks, 4242, 777n)).toBe(expected)
})
