// Hints: coalesced, kept until they are waited for, and given by what happens to the files of the database.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { Wakeup, watchFiles } from '../../../src/source/wakeup.js'
import { tempDirectory } from '../../support/temp.js'
import { until } from '../../support/until.js'

const LONG_MS = 60_000

function make(path = join(tempDirectory(), 'app.db')) {
  const wakeup = new Wakeup(path, systemClock, watchFiles)
  onTestFinished(() => wakeup.close())
  return { wakeup, path }
}

/** The watch has begun, and its own hints are used up. */
const settle = (wakeup: Wakeup) => until(async () => !(await wakeup.wait(100)))

/** Repeats `change` until the wait that is under way ends. */
async function noticed(wakeup: Wakeup, change: () => void): Promise<boolean> {
  let over = false
  const waiting = wakeup.wait(LONG_MS).finally(() => {
    over = true
  })
  await until(() => {
    change()
    return over
  })
  return await waiting
}

test('any number of hints between two waits are one', async () => {
  const { wakeup } = make()
  await settle(wakeup)
  wakeup.hint()
  wakeup.hint()
  expect(await wakeup.wait(LONG_MS)).toBe(true)
  expect(await wakeup.wait(1)).toBe(false)
})

test('a hint ends the wait that is under way', async () => {
  const { wakeup } = make()
  await settle(wakeup)
  const waiting = wakeup.wait(LONG_MS)
  wakeup.hint()
  expect(await waiting).toBe(true)
})

test('a hint during a rest is kept', async () => {
  const { wakeup } = make()
  await settle(wakeup)
  const resting = wakeup.rest(1)
  wakeup.hint()
  await resting
  expect(await wakeup.wait(LONG_MS)).toBe(true)
})

test.for(['', '-wal'])('what happens to a file with "%s" behind its name is a hint', async (suffix) => {
  const { wakeup, path } = make()
  await settle(wakeup)
  const file = path + suffix
  // It appears, is written to, and is removed.
  expect(await noticed(wakeup, () => writeFileSync(file, 'x'))).toBe(true)
  await settle(wakeup)
  expect(await noticed(wakeup, () => writeFileSync(file, 'y'.repeat(100)))).toBe(true)
  await settle(wakeup)
  expect(await noticed(wakeup, () => rmSync(file, { force: true }))).toBe(true)
})

test('writes to other files are no hint', async () => {
  const { wakeup, path } = make()
  for (const suffix of ['', '-wal']) writeFileSync(path + suffix, '')
  await settle(wakeup)
  const { wakeup: other, path: otherPath } = make(join(dirname(path), 'other.db'))
  for (const suffix of ['', '-wal']) writeFileSync(otherPath + suffix, '')
  await settle(other)
  await settle(wakeup)
  expect(await noticed(other, () => writeFileSync(`${otherPath}-wal`, 'x'))).toBe(true)
  expect(await wakeup.wait(1)).toBe(false)
})

test('after a long time without a wait it listens again', async () => {
  const { wakeup, path } = make()
  for (const suffix of ['', '-wal']) writeFileSync(path + suffix, '')
  await settle(wakeup)
  await wakeup.rest(1001)
  await settle(wakeup)
  expect(await noticed(wakeup, () => writeFileSync(`${path}-wal`, 'x'))).toBe(true)
})

test('a directory that is not there is no error, and closing ends a wait', async () => {
  const { wakeup, path } = make(join(tempDirectory(), 'missing', 'app.db'))
  await settle(wakeup)
  mkdirSync(dirname(path))
  await settle(wakeup)
  const waiting = wakeup.wait(LONG_MS)
  await wakeup.close()
  expect(await waiting).toBe(true)
})
