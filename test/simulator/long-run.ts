// Many seeds on all processors: `npm run simulate -- --seeds 100000 --from 1`. Tells each failure when it is found and a summary at
// the end; the exit status is 1 when there were any. A failing seed is run again alone, with its trace, as simulator.test.ts says.

import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

interface Chunk {
  readonly from: number
  readonly count: number
}

interface Failure {
  readonly seed: number
  readonly violation: string
}

const CHUNK_SEEDS = 50
/** Of one process, which is followed by a fresh one. */
const CHUNKS_MAX = 40
const TELL_EVERY_SEEDS = 5000

if (process.send) await work()
else await main()

/** A child: does one chunk after the other. */
async function work(): Promise<void> {
  const { simulate } = await import('./world.js')
  process.on('message', async ({ from, count }: Chunk) => {
    const failures: Failure[] = []
    for (let seed = from; seed < from + count; seed++) {
      const { violation } = await simulate(seed)
      if (violation !== undefined) failures.push({ seed, violation })
    }
    process.send?.(failures)
  })
  process.send?.([])
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '10000' },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
    },
  })
  const [seeds, from, workers] = [Number(values.seeds), Number(values.from), Number(values.workers)]
  if (![seeds, from, workers].every((one) => Number.isSafeInteger(one) && one > 0))
    throw new Error('--seeds, --from and --workers take whole numbers above 0')
  const startMs = performance.now()
  let next = from
  let done = 0
  let failed = 0
  const elapsed = () => `${((performance.now() - startMs) / 1000).toFixed(0)} s`
  const fail = (what: string) => {
    failed++
    console.log(what)
  }

  const oneChild = () =>
    new Promise<void>((resolve) => {
      const child = fork(fileURLToPath(new URL('run.mjs', import.meta.url)))
      let chunk: Chunk | undefined
      let chunks = 0
      child.on('message', (failures: Failure[]) => {
        for (const { seed, violation } of failures) fail(`seed ${seed}: ${violation}`)
        const before = done
        done += chunk?.count ?? 0
        if (Math.floor(done / TELL_EVERY_SEEDS) > Math.floor(before / TELL_EVERY_SEEDS))
          console.log(`${done} of ${seeds} seeds, ${failed} failures, ${elapsed()}`)
        const more = next < from + seeds && chunks++ < CHUNKS_MAX
        chunk = more ? { from: next, count: Math.min(CHUNK_SEEDS, from + seeds - next) } : undefined
        next += chunk?.count ?? 0
        if (chunk) child.send(chunk)
        else child.disconnect()
      })
      child.on('exit', (code, signal) => {
        if (chunk) fail(`seeds ${chunk.from} to ${chunk.from + chunk.count - 1}: the process ended (${signal ?? code})`)
        resolve()
      })
    })
  const worker = async () => {
    while (next < from + seeds) await oneChild()
  }
  await Promise.all(Array.from({ length: workers }, worker))
  console.log(`${done} seeds from ${from}: ${failed} failures, ${elapsed()}`)
  process.exitCode = failed > 0 || done < seeds ? 1 : 0
}
