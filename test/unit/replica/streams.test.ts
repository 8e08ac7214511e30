import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { isLitestreamError } from '../../../src/errors.js'
import { untilAborted } from '../../../src/replica/streams.js'
import { until } from '../../support/until.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function* pieces(count: number, made: WeakRef<Uint8Array>[]): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    const piece = new Uint8Array(1 << 16)
    made.push(new WeakRef(piece))
    yield piece
  }
}

test('what has passed is not held while the body goes on', async () => {
  const made: WeakRef<Uint8Array>[] = []
  const passing = untilAborted(pieces(200, made), new AbortController().signal, 'test')
  for (let i = 0; i < 100; i++) await passing.next()
  const held = (): number => {
    collectGarbage()
    return made.filter((reference) => reference.deref() !== undefined).length
  }
  await until(() => held() <= 5, { what: 'the pieces to be collected', timeoutMs: 10_000 })
  await passing.return()
})

test('an abort ends the wait for a body that is stuck', async () => {
  const controller = new AbortController()
  const stuck = (async function* () {
    await new Promise(() => {})
    yield new Uint8Array(1)
  })()
  const waiting = untilAborted(stuck, controller.signal, 'put the object').next()
  controller.abort()
  const error = await waiting.catch((thrown: unknown) => thrown)
  expect(isLitestreamError(error, 'ABORTED')).toBe(true)
})
