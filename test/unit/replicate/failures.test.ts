import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import type { Attributes, Logger } from '../../../src/logger.js'
import { BACKOFF_MS_MAX, BACKOFF_MS_MIN, backoffMs } from '../../../src/replicate/backoff.js'
import { Failures } from '../../../src/replicate/failures.js'

class Journal implements Logger {
  readonly lines: string[] = []
  private add = (level: string) => (message: string, attributes?: Attributes) => {
    if (level === 'debug') return
    const { error, elapsed, ...rest } = attributes ?? {}
    const told = Object.entries(rest).map(([key, value]) => `${key}=${value}`)
    if (elapsed !== undefined) told.unshift(`elapsed=${elapsed}`)
    this.lines.push([level, message, ...told].join(' '))
  }
  debug = this.add('debug')
  info = this.add('info')
  warn = this.add('warn')
  error = this.add('error')
  child = () => this
}

function scene() {
  let nowMs = 5000
  const journal = new Journal()
  const clock = { now: () => nowMs, monotonic: () => nowMs }
  const failures = new Failures(clock, (bytes) => '8'.padEnd(bytes * 2, '0'), journal)
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { failures, lines: journal.lines, pass }
}

const refused = new LitestreamError('STORAGE', 'put x: connection refused', { reason: 'ECONNREFUSED' })
const denied = new LitestreamError('STORAGE', 'put x: denied', { kind: 'person', reason: 'AccessDenied' })

test('an outage is two lines, with what happened in between', () => {
  const { failures, lines, pass } = scene()
  for (let i = 0; i < 100; i++) {
    failures.failed(new LitestreamError('STORAGE', `put ${i}: connection refused`, { reason: 'ECONNREFUSED' }))
    pass(30_000)
  }
  failures.failed(denied)
  failures.failed(refused)
  failures.failed(denied)
  expect(failures).toMatchObject({ failing: true, last: denied })
  failures.shipped(1000)
  failures.worked(false)
  expect(failures).toMatchObject({ failing: false, last: undefined })
  failures.shipped(24)
  failures.worked(true)
  failures.worked(true)
  expect(lines).toEqual([
    'error monitor error kind=transient',
    'warn still failing, for another reason kind=person',
    'info replica works again elapsed=50m0s failures=103 reasons=ECONNREFUSED 101, AccessDenied 2 shipped=1024',
  ])
})

test('under steady writing, where something always waits, two segments end it', () => {
  const { failures, lines } = scene()
  failures.failed(refused)
  for (let i = 0; i < 2; i++) {
    expect(lines).toHaveLength(1)
    failures.shipped(10)
    failures.worked(false)
  }
  expect(lines[1]).toContain('replica works again')
})

test('a store that fails every second time says so once a minute', () => {
  const { failures, lines, pass } = scene()
  for (let i = 0; i < 600; i++) {
    failures.failed(refused)
    failures.worked(true)
    pass(1000)
  }
  expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(10)
  expect(lines.filter((line) => line.startsWith('info'))).toHaveLength(10)
  expect(lines.at(-1)).toContain('failures=60')
})

test('an outage that comes back within the minute and stays is told when the minute is over', () => {
  const { failures, lines, pass } = scene()
  failures.failed(refused)
  failures.worked(true)
  failures.failed(refused)
  pass(59_999)
  failures.failed(refused)
  expect(lines).toHaveLength(2)
  pass(1)
  failures.failed(refused)
  expect(lines).toHaveLength(3)
  failures.worked(true)
  expect(lines[3]).toContain('failures=3')
})

test('stopping tells the end of an outage when something had worked again, and not when nothing had', () => {
  const { failures, lines } = scene()
  failures.failed(refused)
  failures.close()
  expect(lines).toHaveLength(1)
  failures.worked(false)
  failures.close()
  expect(lines).toHaveLength(2)
})

test('an error that nobody raised on purpose is a bug', () => {
  const { failures, lines } = scene()
  failures.failed(new TypeError('undefined is not a function'))
  expect(lines).toEqual(['error monitor error kind=bug'])
})

test('pauses double up to the ceiling, and jitter keeps half of them', () => {
  for (let failures = 1; failures < 2000; failures++) {
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (failures - 1))
    expect(backoffMs(failures, 0)).toBe(ceiling / 2)
    expect(backoffMs(failures, 0.999999)).toBeLessThan(ceiling)
    expect(backoffMs(failures, 0.999999)).toBeGreaterThan(ceiling * 0.99)
  }
})
