// How long the health check takes where it matters: with a daemon of four databases to ask, on an idle machine and beside programs that
// take all of its processor time.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { runOurs, startOurs } from '../test/support/programs.js'
import { until } from '../test/support/until.js'
import { defineBench } from './bench.js'
import type { Run } from './result.js'
import { number, numbers } from './settings.js'

export const healthBench = defineBench({
  name: 'health',
  title: 'health: `litestream databases` with a daemon of several databases, from the start of the process to its end',
  layout: 'cases',
  rows: [
    { figure: 'medianMs', label: 'median', unit: 'ms' },
    { figure: 'worstMs', label: 'worst', unit: 'ms', over: 'worst' },
  ],
  flags: {
    databases: number(4, 'of the daemon'),
    loops: numbers([0, 4], 'programs beside it that never rest'),
    calls: number(20, 'of the check, one after the other'),
  },

  estimateSeconds: ({ loops, calls }) => 10 + loops.length * calls,

  async run(stage, { databases, loops, calls }) {
    const directory = mkdtempSync(join(tmpdir(), 'litestream-bench-health-'))
    const open: Database.Database[] = []
    const config = join(directory, 'litestream.yml')
    mkdirSync(join(directory, 'storage'))
    const entries = Array.from({ length: databases }, (_, i) => {
      const path = join(directory, 'storage', `${i}.db`)
      const database = new Database(path)
      database.pragma('journal_mode = WAL')
      database.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
      open.push(database)
      return `- {path: ${path}, replicas: [{path: ${directory}/replica/${i}}]}\n`
    })
    writeFileSync(config, `socket: {path: ${directory}/control.sock}\ndbs:\n${entries.join('')}`)
    const daemon = await startOurs(['replicate', '-config', config])
    const check = () => runOurs(['databases', '-config', config])
    const runs: Run[] = []
    try {
      await until(async () => /snapshot written/.test(daemon.output()) && (await check()).code === 0, {
        what: 'the daemon to be healthy',
        timeoutMs: 60_000,
      })
      for (const count of loops) {
        const busy = Array.from({ length: count }, () => spawn(process.execPath, ['-e', 'for (;;);']))
        try {
          const took: number[] = []
          for (let call = 0; call < calls; call++) {
            const startMs = performance.now()
            const { code, stderr } = await check()
            took.push(performance.now() - startMs)
            if (code !== 0) throw new Error(`the check found a fault beside ${count} loops: ${stderr}`)
          }
          for (const [repetition, checkMs] of took.entries()) {
            const figures = { medianMs: checkMs, worstMs: checkMs }
            runs.push({ contender: 'ours', repetition, of: `${count} busy programs`, figures })
          }
          stage.say(`beside ${count}: ${took.map((ms) => Math.round(ms)).join(', ')} ms`)
        } finally {
          for (const loop of busy) loop.kill('SIGKILL')
        }
      }
    } finally {
      await daemon.stop()
      for (const database of open) database.close()
      rmSync(directory, { recursive: true, force: true })
    }
    return { runs }
  },
})
