// In a process of its own: the settings are the whole process's.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { makeDist, projectRoot } from '../support/make-dist.js'

/** What is young after 100 MB of which a lot lived for a while, behind a long object that a thread has compressed; MiB. */
const PROGRAM = `
const [tuned, dist] = process.argv.slice(1)
const { tuneForDaemon } = await import(dist + 'engine-tuning.js')
const { encodeFrame } = await import(dist + 'codec/frame-encode.js')
const { getHeapSpaceStatistics } = await import('node:v8')
if (tuned === 'yes') tuneForDaemon()
async function* content() { for (let i = 0; i < 8; i++) yield Buffer.alloc(1 << 20, i) }
for await (const piece of encodeFrame(content(), { contentBytesEstimate: 1 << 30 })) void piece
const alive = []
for (let i = 0; i < 1000000; i++) alive[i % 60000] = { i, pair: [i, i + 1] }
console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20)
process.exit()`

test('what is young in a daemon does not take ever more memory, not after a thread has run either', async () => {
  await makeDist()
  const dist = `${pathToFileURL(join(projectRoot, 'dist')).href}/`
  const youngMib = (tuned: string): number => {
    const args = ['--input-type=module', '-e', PROGRAM, tuned, dist]
    return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  }
  expect(youngMib('yes')).toBeLessThanOrEqual(8)
  expect(youngMib('no')).toBeGreaterThanOrEqual(32)
}, 60_000)
