// The main figures as one SVG for the README: a panel with bars for each figure, a panel with lines for each series of a soak. Bars
// of one panel are in proportion to each other; every bar has its number. Readable on light and on dark pages, without a background.

import type { Over } from './bench.js'
import { CONTENDERS, type Contender, LABELS } from './contenders.js'
import { type Result, type Series, valuesOf } from './result.js'
import { format, type Unit } from './units.js'
import { aggregate } from './verdict.js'

interface Panel {
  readonly bench: string
  readonly figure: string
  readonly title: string
  readonly unit: Unit
  readonly over?: Over
}

const PANELS: readonly Panel[] = [
  { bench: 'web', figure: 'longestMs', title: 'web: longest stall', unit: 'ms' },
  { bench: 'web', figure: 'lostMs', title: 'web: lost when everything dies', unit: 'ms', over: 'worst' },
  { bench: 'web', figure: 'sentBytes', title: 'web: sent', unit: 'bytes' },
  { bench: 'web', figure: 'caughtUpCpuSeconds', title: 'web: processor time', unit: 's' },
  { bench: 'web', figure: 'peakMemoryBytes', title: 'web: peak memory', unit: 'bytes' },
  { bench: 'flat', figure: 'transactionsPerSecond', title: 'flat: transactions a second', unit: 'count' },
  { bench: 'flat', figure: 'longestMs', title: 'flat: longest stall', unit: 'ms' },
  { bench: 'flat', figure: 'lostMs', title: 'flat: lost when everything dies', unit: 'ms', over: 'worst' },
  { bench: 'flat', figure: 'walPeakBytes', title: 'flat: WAL at its peak', unit: 'bytes' },
  { bench: 'flat', figure: 'sentBytes', title: 'flat: sent', unit: 'bytes' },
  { bench: 'flat', figure: 'caughtUpCpuSeconds', title: 'flat: processor time', unit: 's' },
  { bench: 'checkpoints', figure: 'truncate-webLongestMs', title: 'TRUNCATE: longest wait', unit: 'ms', over: 'worst' },
  { bench: 'snapshot', figure: 'snapshotSeconds', title: 'first snapshot', unit: 's' },
  { bench: 'restore', figure: 'seconds', title: 'restore', unit: 's' },
  { bench: 'many', figure: 'idleCpuPercent', title: 'many idle databases: processor', unit: 'percent' },
  { bench: 'many', figure: 'idleMemoryBytes', title: 'many idle databases: memory', unit: 'bytes' },
  { bench: 'many', figure: 'shippedSeconds', title: 'many: a write into each', unit: 's' },
  { bench: 'start', figure: 'databasesMs', title: 'start of a command', unit: 'ms' },
]

const SERIES_UNITS: Readonly<Record<string, Unit>> = { memoryBytes: 'bytes', descriptors: 'count' }
const SERIES_TITLES: Readonly<Record<string, string>> = { memoryBytes: 'memory', descriptors: 'descriptors' }

/** Of middle lightness, so that they stand out from white and from black. */
const COLOURS: Readonly<Record<Contender, string>> = {
  bare: '#8b949e',
  'litestream-0.3.13': '#d4882b',
  'litestream-0.5.17': '#a371f7',
  ours: '#2f81f7',
  'ours-read-only': '#39a0a8',
}

const COLUMNS = 3
const [PANEL_WIDTH, GAP, BAR, STEP, HEAD, LEGEND] = [280, 20, 13, 18, 24, 30]
/** A bar's number stands behind it. */
const NUMBER_WIDTH = 76
const LINES_HEIGHT = 90

const STYLE = `text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.t{font-weight:600}.n{font-size:11px;fill:#59636e}.a{stroke:#59636e;stroke-opacity:.4}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.a{stroke:#9198a1}}`

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
const at = (value: number): string => String(Math.round(value * 10) / 10)
const text = (x: number, y: number, content: string, kind = ''): string =>
  `<text x="${at(x)}" y="${at(y)}"${kind && ` class="${kind}"`}>${escaped(content)}</text>`

interface Drawn {
  readonly height: number
  readonly draw: (x: number, y: number) => string
}

function bars(panel: Panel, results: readonly Result[]): Drawn | undefined {
  const result = results.findLast(({ bench }) => bench === panel.bench)
  if (!result) return undefined
  const values = CONTENDERS.flatMap((contender) => {
    const value = aggregate(valuesOf(result.runs, panel.figure, { contender }), panel.over)
    return Number.isFinite(value) ? [{ contender, value }] : []
  })
  if (values.length === 0) return undefined
  const most = Math.max(...values.map(({ value }) => value)) || 1
  return {
    height: HEAD + values.length * STEP,
    draw: (x, y) =>
      [
        text(x, y + 12, panel.title, 't'),
        ...values.map(({ contender, value }, i) => {
          const [top, width] = [y + HEAD + i * STEP, Math.max(1, (value / most) * (PANEL_WIDTH - NUMBER_WIDTH))]
          const bar = `<rect x="${at(x)}" y="${at(top)}" width="${at(width)}" height="${BAR}" rx="2" fill="${COLOURS[contender]}"/>`
          return bar + text(x + width + 6, top + 10.5, format(panel.unit, value), 'n')
        }),
      ].join('\n'),
  }
}

function lines({ points, figures }: Series, figure: string): Drawn | undefined {
  const column = figures.indexOf(figure) + 1
  const drawn = points.map((point) => [point[0] ?? 0, point[column] ?? 0] as const)
  const [seconds, most] = [Math.max(...drawn.map(([s]) => s)) || 1, Math.max(...drawn.map(([, value]) => value)) || 1]
  if (drawn.length < 2) return undefined
  const width = PANEL_WIDTH - NUMBER_WIDTH
  return {
    height: HEAD + LINES_HEIGHT,
    draw(x, y) {
      const bottom = y + HEAD + LINES_HEIGHT - 16
      const way = drawn.map(
        ([s, value]) => `${at(x + (s / seconds) * width)},${at(bottom - (value / most) * (LINES_HEIGHT - 20))}`,
      )
      const unit = SERIES_UNITS[figure] ?? 'count'
      return [
        text(x, y + 12, `soak: ${SERIES_TITLES[figure] ?? figure}`, 't'),
        `<line class="a" x1="${at(x)}" y1="${at(bottom)}" x2="${at(x + width)}" y2="${at(bottom)}"/>`,
        `<polyline points="${way.join(' ')}" fill="none" stroke="${COLOURS.ours}" stroke-width="1.5"/>`,
        text(x, bottom + 13, `${Math.max(1, Math.round(seconds / 60))} min, at most ${format(unit, most)}`, 'n'),
      ].join('\n')
    },
  }
}

/** Of several results of one benchmark, the last counts. */
export function chart(results: readonly Result[]): string {
  const soak = results.findLast(({ series }) => series !== undefined)
  const panels = [
    ...PANELS.map((panel) => bars(panel, results)),
    ...(soak?.series ?? []).flatMap((series) => series.figures.map((figure) => lines(series, figure))),
  ].filter((panel) => panel !== undefined)
  const present = CONTENDERS.filter((name) =>
    results.some(({ runs }) => runs.some(({ contender }) => contender === name)),
  )

  const parts: string[] = []
  present.forEach((contender, i) => {
    const x = i * 165
    parts.push(`<rect x="${x}" y="4" width="12" height="12" rx="2" fill="${COLOURS[contender]}"/>`)
    parts.push(text(x + 18, 14.5, LABELS[contender]))
  })
  let y = LEGEND
  for (let first = 0; first < panels.length; first += COLUMNS) {
    const row = panels.slice(first, first + COLUMNS)
    row.forEach(({ draw }, column) => void parts.push(draw(column * (PANEL_WIDTH + GAP), y)))
    y += Math.max(...row.map(({ height }) => height)) + GAP
  }
  const width = Math.max(COLUMNS * (PANEL_WIDTH + GAP), present.length * 165)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="Benchmarks">
<title>Benchmarks: ${escaped(present.map((name) => LABELS[name]).join(', '))}; shorter is better, except transactions a second</title>
<style>${STYLE}</style>
${parts.join('\n')}
</svg>
`
}
