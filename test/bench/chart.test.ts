// The chart is made from results alone, and shows what is there and nothing else.

import { expect, test } from 'vitest'
import { chart } from '../../bench/chart.js'
import type { Result, Run } from '../../bench/result.js'

const machine = {
  cores: 2,
  processor: 'p',
  memoryBytes: 1,
  kernel: 'k',
  node: 'n',
  sqlite: 's',
  minio: 'process',
  store: 'memory',
} as const
const result = (bench: string, runs: readonly Run[], more: Partial<Result> = {}): Result => ({
  version: 2,
  bench,
  startedAt: '2026-01-01T00:00:00Z',
  elapsedSeconds: 1,
  machine,
  settings: {},
  runs,
  ...more,
})

/** Names of elements, where every one is closed in its place. */
function elementsOf(svg: string): string[] {
  const open: string[] = []
  const names: string[] = []
  for (const [, end, name = '', alone] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (end) expect(open.pop()).toBe(name)
    else {
      names.push(name)
      if (!alone) open.push(name)
    }
  }
  expect(open).toEqual([])
  return names
}

test('bars for whoever has the figure, in proportion, with their numbers', () => {
  const runs: Run[] = [
    { contender: 'bare', repetition: 0, figures: { longestMs: 10 } },
    { contender: 'ours', repetition: 0, figures: { longestMs: 20, peakMemoryBytes: 100e6 } },
    { contender: 'ours', repetition: 1, figures: { longestMs: 40 } },
    { contender: 'ours', repetition: 2, figures: { longestMs: 30 } },
  ]
  const svg = chart([
    result('web', [{ contender: 'ours', repetition: 0, figures: { longestMs: 1 } }]),
    result('web', runs),
  ])
  const names = elementsOf(svg)
  expect(names.filter((name) => name === 'rect')).toHaveLength(2 + 3) // the legend, two bars, one bar
  expect(svg).toContain('web: longest stall')
  expect(svg).toContain('web: peak memory')
  expect(svg).not.toContain('web: sent')
  for (const number of ['10 ms', '30 ms', '100 MB']) expect(svg).toContain(`>${number}<`)
  const widths = [...svg.matchAll(/width="([\d.]+)" height="13"/g)].map(([, width]) => Number(width))
  expect(widths[1]! / widths[0]!).toBeCloseTo(3, 1)
  expect(svg).toContain('prefers-color-scheme:dark')
  expect(svg).not.toMatch(/NaN|undefined|Infinity/)
})

test('lines for a soak', () => {
  const points = Array.from({ length: 50 }, (_, i) => [i * 10, 1e8 + i, 20])
  const series = [{ name: 'ours', figures: ['memoryBytes', 'descriptors'], points }]
  const svg = chart([result('soak', [{ contender: 'ours', repetition: 0, figures: {} }], { series })])
  expect(elementsOf(svg).filter((name) => name === 'polyline')).toHaveLength(2)
  expect(svg).toContain('8 min, at most 100 MB')
  expect(svg).toContain('soak: descriptors')
})
