// In a process of its own: the settings are the whole process's.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { makeDist, projectRoot } from '../support/make-dist.js'

/** What is young, in MiB, when a lot of 100 MB has lived for a while: while a thread compresses a long object, or behind it. */
const PROGRAM = `
const [tuned, when, dist] = process.argv.slice(1)
const { tuneForDaemon } = await import(dist + 'engine-tuning.js')
const { encodeFrame } = await import(dist + 'codec/frame-encode.js')
const { getHeapSpaceStatistics } = await import('node:v8')
if (tuned === 'tuned') tuneForDaemon()
const alive = []
const live = () => { for (let i = 0; i < 1000000; i++) alive[i % 60000] = { i, pair: [i, i + 1] } }
const young = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20
let meanwhile
async function* content() {
  for (let i = 0; i < 8; i++) yield Buffer.alloc(1 << 20, i)
  if (when === 'meanwhile') live()
  meanwhile = young()
}
for await (const piece of encodeFrame(content(), { contentBytesEstimate: 1 << 30 })) void piece
if (when === 'behind') live()
console.log(when === 'behind' ? young() : meanwhile)
process.exit()`

test('what is young in a daemon does not take ever more memory in a long upload, and otherwise what V8 thinks best', async () => {
  await makeDist()
  const dist = `${pathToFileURL(join(projectRoot, 'dist')).href}/`
  const youngMib = (tuned: string, when: string): number => {
    const args = ['--input-type=module', '-e', PROGRAM, tuned, when, dist]
    return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  }
  expect(youngMib('tuned', 'meanwhile')).toBeLessThanOrEqual(8)
  expect(youngMib('as it is', 'meanwhile')).toBeGreaterThanOrEqual(32)
  expect(youngMib('tuned', 'behind')).toBeGreaterThanOrEqual(32)
}, 60_000)
