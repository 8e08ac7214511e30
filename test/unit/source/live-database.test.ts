// Pins that SQLite refuses for a while.

import { expect, test } from 'vitest'
import type { ObservedFiles } from '../../../src/source/files.js'
import { LiveDatabase } from '../../../src/source/live-database.js'
import type { HeldPins } from '../../../src/source/pins.js'

/** `removedAt`, `grantedAt`: counted in tries. */
function liveDatabase(removedAt: number, grantedAt: number) {
  let tries = 0
  const attempt = () => ++tries >= grantedAt
  const pins = { pin: attempt, leapfrog: attempt, release: () => {}, close: () => {}, pinned: false, lastRefusal: '' }
  const files = {
    path: '/db/app.db',
    walIndex: () => undefined,
    replaced: () => (tries >= removedAt ? '/db/app.db-wal' : undefined),
  }
  const source = { pins: () => pins satisfies HeldPins, holdsDeadManSwitch: () => true }
  const live = new LiveDatabase(files as unknown as ObservedFiles, source)
  return { live, tries: () => tries }
}

test('a refusal is tried again', () => {
  const { live, tries } = liveDatabase(Number.POSITIVE_INFINITY, 7)
  expect(live.takePin()).toBe(true)
  expect(tries()).toBe(7)
})

test('SQLite is not asked once more when the WAL was taken away meanwhile: it would make a new one', () => {
  const { live, tries } = liveDatabase(3, 4)
  expect(live.takePin()).toBe(false)
  expect(tries()).toBe(3)
})
