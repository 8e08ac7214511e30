// How far a long transfer is: drawn over on a terminal, now and then a log line elsewhere, nothing for short ones.

import { expect, test } from 'vitest'
import { createLineLogger } from '../../../src/cli/io-logger.js'
import { formatBytes, formatLeft, ProgressLine } from '../../../src/cli/progress.js'

function setUp(isTTY: boolean, type: 'text' | 'json' = 'text') {
  const state = { text: '', nowMs: 0 }
  const output = {
    isTTY,
    columns: 60,
    write: (text: string) => {
      state.text += text
    },
  }
  const progress = new ProgressLine('restoring', output, () => state.nowMs)
  const write = (line: string): void => progress.writeLine(line)
  const logger = createLineLogger({ level: 'info', type, secrets: ['hunter22'], write })
  return { state, progress, logger }
}

const half = { bytesDone: 3 * 1024 * 1024, bytesTotal: 6 * 1024 * 1024, objectsDone: 1, objectsTotal: 4 }

test('on a terminal: one line within its width, which makes way for log lines and goes at the end', () => {
  const { state, progress, logger } = setUp(true)
  state.nowMs = 100
  progress.update(half, logger)
  expect(state.text).toBe('')
  state.nowMs = 1000
  progress.update(half, logger)
  expect(state.text).toBe('\r\u001b[Krestoring  50%  3.0 MiB of 6.0 MiB  3.0 MiB/s  1s left')
  state.text = ''
  logger.info('applied wal', { index: 3 })
  expect(state.text.startsWith('\r\u001b[Ktime=')).toBe(true)
  expect(state.text).toMatch(/ level=INFO msg="applied wal" index=3\n$/)
  state.text = ''
  progress.hide()
  expect(state.text).toBe('')
})

test('elsewhere: a log line every ten seconds', () => {
  const { state, progress, logger } = setUp(false)
  for (state.nowMs = 0; state.nowMs < 25_000; state.nowMs += 500) progress.update(half, logger)
  expect(state.text.match(/level=INFO msg=restoring percent=50 bytes=3145728 objects=1 of=4\n/g)).toHaveLength(2)
})

test('lines by level, in text or JSON, without secrets', () => {
  const { state, logger } = setUp(false, 'json')
  logger.debug('hidden')
  logger.child({ replica: 's3' }).warn('cannot', { error: new Error('key hunter22 refused') })
  expect(
    state.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { time: expect.any(String), level: 'WARN', msg: 'cannot', replica: 's3', error: 'key [redacted] refused' },
  ])
})

test('a second transfer has a rate of its own', () => {
  const { state, progress, logger } = setUp(true)
  state.nowMs = 60_000
  progress.begin()
  state.nowMs = 63_000
  progress.update(half, logger)
  expect(state.text).toContain('1.0 MiB/s  3s left')
})

test.each([
  [0, '0s'],
  [400, '1s'],
  [59_000, '59s'],
  [185_000, '3m05s'],
  [8_040_000, '2h14m'],
  [1e12, 'long'],
])('%d ms are %s', (ms, text) => {
  expect(formatLeft(ms)).toBe(text)
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})
