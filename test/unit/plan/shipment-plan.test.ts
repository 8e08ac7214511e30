import { describe, expect, test } from 'vitest'
import {
  arrived,
  departureInMs,
  departureIntervalMs,
  LARGE_BYTES,
  type Shipments,
} from '../../../src/plan/shipment-plan.js'

const large = (tookMs: number) => arrived(undefined, LARGE_BYTES, tookMs)
/** With as much pending as makes a large shipment again. */
const interval = (syncIntervalMs: number, shipments?: Shipments) =>
  departureIntervalMs(syncIntervalMs, shipments, LARGE_BYTES)

describe('the next changes depart', () => {
  test('one interval after the last ones, where nothing was shipped yet or it took its share at most', () => {
    expect(interval(1000)).toBe(1000)
    expect(interval(1000, large(0))).toBe(1000)
    expect(interval(1000, large(200))).toBe(1000)
  })

  test('sooner by what a large shipment took more than that, so that the next arrives in time', () => {
    expect(interval(1000, large(400))).toBe(800)
    expect(interval(10_000, large(4000))).toBe(8000)
  })

  test('but by four tenths of the interval at most: a store that is slow gets no flood of requests', () => {
    expect(interval(1000, large(600))).toBe(600)
    expect(interval(1000, large(60_000))).toBe(600)
  })

  test('not sooner with little to ship, whose request is what costs', () => {
    expect(departureIntervalMs(1000, large(900), LARGE_BYTES - 1)).toBe(1000)
    expect(departureIntervalMs(1000, undefined, 0)).toBe(1000)
  })

  test('sooner with so much that it can be foretold, where nothing is known of large ones', () => {
    const known = [undefined, arrived(large(0), LARGE_BYTES - 1, 900)]
    for (const shipments of known) {
      expect(departureIntervalMs(1000, shipments, 20 << 20)).toBe(1000)
      expect(departureIntervalMs(1000, shipments, 50 << 20)).toBe(700)
      expect(departureIntervalMs(1000, shipments, 500 << 20)).toBe(600)
    }
    expect(departureIntervalMs(1000, large(100), 500 << 20)).toBe(1000)
  })

  test('as if the next took about as long as the longest of late, which is forgotten in the end', () => {
    let shipments = arrived(large(600), LARGE_BYTES, 100)
    expect(interval(1000, shipments)).toBeCloseTo(720)
    shipments = arrived(shipments, LARGE_BYTES, 400)
    expect(interval(1000, shipments)).toBe(800)
    for (let more = 0; more < 4; more++) shipments = arrived(shipments, LARGE_BYTES, 100)
    expect(interval(1000, shipments)).toBe(1000)
  })

  test('a small one ends what was known of large ones', () => {
    expect(interval(1000, arrived(arrived(large(600), 1, 10), LARGE_BYTES, 100))).toBe(1000)
  })
})

test('how much is pending is asked once it can matter, and again while it may grow to matter', () => {
  const departure = { syncIntervalMs: 1000, lastShipMs: 5000, shipments: undefined, pendingBytes: 0 }
  const large = { ...departure, pendingBytes: LARGE_BYTES }
  expect(departureInMs(departure, 5000)).toBe(600)
  expect(departureInMs(large, 5400)).toBe(200)
  expect(departureInMs(departure, 5600)).toBe(400)
  expect(departureInMs(large, 5600)).toBe(50)
  expect(departureInMs(large, 5980)).toBe(20)
  for (const either of [departure, large]) expect(departureInMs(either, 6000)).toBe(0)
  expect(departureInMs({ ...departure, pendingBytes: 500 << 20 }, 5600)).toBe(0)
})
