import { expect, test } from 'vitest'
import { LitestreamError } from '../../../src/errors.js'
import { Boundaries } from '../../../src/replicate/boundaries.js'
import type { Place } from '../../../src/replicate/replica-writer.js'
import type { SourceState } from '../../../src/replicate/sink.js'

const stamp = { ino: '1', size: 1, mtimeNs: '1', ctimeNs: '1' }
const state: SourceState = { pageSize: 512, pageCount: 1, observedAtMs: 0, source: { stamp } }
const place: Place = { generation: 'g', end: { index: 0, offset: 0 } as Place['end'], previous: undefined }

test('who cannot freeze hears of it, and neither the replica nor others who wait are disturbed', async () => {
  const boundaries = new Boundaries()
  const error = new LitestreamError('LOCAL', 'no room')
  const { signal } = new AbortController()
  const failing = boundaries.wait(
    () => state,
    () => {
      throw error
    },
    signal,
  )
  const other = boundaries.wait(
    () => state,
    () => 'frozen',
    signal,
  )
  boundaries.reached(state)
  boundaries.acknowledged(place)
  await expect(failing).rejects.toBe(error)
  expect(await other).toEqual({ frozen: 'frozen', place })
  expect(boundaries.anybodyWaits).toBe(false)
})
