// For an application that never checkpoints (auto-checkpoint off): its WAL would grow for ever. Where the configuration allows it
// and the volume is writable, we run a PASSIVE checkpoint, which never waits for or blocks anybody; everywhere else we only say so.
// Off unless configured: it is the one thing that this program would ever write to a database's volume.

import { Worker } from 'node:worker_threads'
import { keepYoungHeld } from '../engine-tuning.js'
import { LitestreamError } from '../errors.js'

export interface CheckpointResult {
  /** Frames in the WAL, and how many of them are in the database file now. */
  readonly log: number
  readonly checkpointed: number
}

/** In a thread of its own, because a large checkpoint takes long. Rejects with SOURCE when SQLite refuses. */
export function passiveCheckpoint(path: string): Promise<CheckpointResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), { workerData: path })
    const fail = (cause: unknown) =>
      reject(new LitestreamError('SOURCE', `cannot checkpoint ${path}: ${cause}`, { cause }))
    worker.once('online', keepYoungHeld)
    worker.once('message', resolve)
    worker.once('error', fail)
    worker.once('exit', () => fail('the checkpoint ended without a result'))
  })
}
