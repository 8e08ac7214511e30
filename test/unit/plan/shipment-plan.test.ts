import { describe, expect, test } from 'vitest'
import { arrived, departureIntervalMs, LARGE_BYTES } from '../../../src/plan/shipment-plan.js'

const large = (tookMs: number) => arrived(undefined, LARGE_BYTES, tookMs)

describe('the next changes depart', () => {
  test('one interval after the last ones, where nothing was shipped yet or it took its share at most', () => {
    expect(departureIntervalMs(1000, undefined)).toBe(1000)
    expect(departureIntervalMs(1000, large(0))).toBe(1000)
    expect(departureIntervalMs(1000, large(300))).toBe(1000)
  })

  test('sooner by what a large shipment took more than that, so that the next arrives in time', () => {
    expect(departureIntervalMs(1000, large(400))).toBe(900)
    expect(departureIntervalMs(10_000, large(4000))).toBe(9000)
  })

  test('but by three tenths of the interval at most: a store that is slow gets no flood of requests', () => {
    expect(departureIntervalMs(1000, large(600))).toBe(700)
    expect(departureIntervalMs(1000, large(60_000))).toBe(700)
  })

  test('not sooner after a small one, whose request is what costs', () => {
    expect(departureIntervalMs(1000, arrived(large(900), LARGE_BYTES - 1, 900))).toBe(1000)
  })

  test('as if the next took about as long as the longest of late, which is forgotten in the end', () => {
    let shipments = arrived(large(600), LARGE_BYTES, 100)
    expect(departureIntervalMs(1000, shipments)).toBeCloseTo(820)
    shipments = arrived(shipments, LARGE_BYTES, 400)
    expect(departureIntervalMs(1000, shipments)).toBe(900)
    for (let more = 0; more < 3; more++) shipments = arrived(shipments, LARGE_BYTES, 100)
    expect(departureIntervalMs(1000, shipments)).toBe(1000)
  })

  test('a small one ends what was known of large ones', () => {
    expect(departureIntervalMs(1000, arrived(arrived(large(600), 1, 10), LARGE_BYTES, 100))).toBe(1000)
  })
})
