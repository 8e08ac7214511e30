// The power goes at any moment while a replica in a directory is written: what was acknowledged is there, whole, and what was not is
// there whole or not at all. Canaries show that each kind of fsync is needed, and that its absence would be noticed.

import { afterEach, expect, test, vi } from 'vitest'
import { Random } from '../crash/random.js'
import { type Ignored, PowerLossFs } from '../support/power-loss-fs.js'

const RUNS = 1500
const KEYS = [
  'generations/a/snapshots/1',
  'generations/a/wal/1_1',
  'generations/a/wal/1_2',
  'generations/b/wal/1_1',
  'x',
]

afterEach(() => {
  vi.doUnmock('node:fs/promises')
  vi.resetModules()
})

async function* inPieces(bytes: Buffer) {
  yield bytes.subarray(0, bytes.length >> 1)
  yield bytes.subarray(bytes.length >> 1)
}

async function contentOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** What is wrong after some requests and the loss of power in the midst of them. */
type Run = (random: Random, fs: PowerLossFs) => Promise<string | undefined>

/** The real client over a file system that loses. Which one can be changed from run to run. */
async function loadRun(): Promise<Run> {
  let current: PowerLossFs | undefined
  const names = ['open', 'mkdir', 'rename', 'link', 'unlink', 'rmdir', 'stat', 'access', 'readdir'] as const
  const pass = (name: (typeof names)[number]) =>
    [
      name,
      (...args: never[]) => ((current as PowerLossFs).module[name] as (...rest: never[]) => unknown)(...args),
    ] as const
  vi.resetModules()
  vi.doMock('node:fs/promises', () => Object.fromEntries(names.map(pass)))
  const { FileClient } = await import('../../src/replica/file-client.js')

  return async (random, fs) => {
    current = fs
    const client = new FileClient({ path: '/data/replica' })
    /** What may be found under each key; undefined: nothing. */
    const expected = new Map<string, (Buffer | undefined)[]>(KEYS.map((key) => [key, [undefined]]))
    let number = 0
    const work = async (): Promise<void> => {
      for (;;) {
        const key = random.pick(KEYS)
        const before = expected.get(key) as (Buffer | undefined)[]
        if (random.chance(0.25)) {
          expected.set(key, [...before, undefined])
          await client.delete([key])
          expected.set(key, [undefined])
          continue
        }
        const bytes = Buffer.alloc(1 + random.below(40), ++number)
        const ifAbsent = random.chance(0.5)
        expected.set(key, [...before, bytes])
        const taken = await client.put(key, inPieces(bytes), { ifAbsent }).then(
          () => false,
          (error) => {
            if (error.code === 'EXISTS') return true
            throw error
          },
        )
        expected.set(key, taken ? before : [bytes])
      }
    }
    fs.callsLeft = random.below(120)
    const lost = new Promise<void>((resolve) => {
      fs.onLoss = resolve
    })
    await Promise.race([work(), lost])
    fs.restart()

    const there = new Map<string, Buffer>()
    const after = new FileClient({ path: '/data/replica' })
    for await (const { key } of after.list('')) there.set(key, await contentOf(await after.get(key)))
    for (const [key, possible] of expected) {
      const found = there.get(key)
      if (possible.some((one) => (one === undefined || found === undefined ? one === found : one.equals(found))))
        continue
      return `${key} is ${found?.toString('hex')}, and not one of ${possible.map((one) => one?.toString('hex')).join(', ')}`
    }
    return undefined
  }
}

test('what was acknowledged survives, and nothing is ever there in part', async () => {
  const run = await loadRun()
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new Random(seed)
    expect(await run(random, new PowerLossFs(random)), `seed ${seed}`).toBeUndefined()
  }
})

test.each<Ignored>(['files', 'directories', 'parents of new directories'])(
  'caught: no fsync of %s',
  async (ignored) => {
    const run = await loadRun()
    let found: string | undefined
    let seed = 0
    while (found === undefined && seed < RUNS) {
      const random = new Random(++seed)
      found = await run(random, new PowerLossFs(random, ignored))
    }
    expect(found, `${RUNS} runs and nobody noticed`).toBeDefined()
    console.log(`seed ${seed} without fsync of ${ignored}: ${found}`)
  },
)
