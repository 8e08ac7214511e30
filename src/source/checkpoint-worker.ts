// Runs in a worker thread: PASSIVE checkpoints on a connection of its own until one is complete (then the next commit restarts the
// WAL) or patience has run out, then the thread ends. The only code of this program
// that opens a database for writing; see checkpointer for when it may. Closing the connection is harmless: the pins of this process
// keep it from being the last one, and SQLite itself keeps the process's locks.

import { parentPort, workerData } from 'node:worker_threads'
import { SqliteConnection } from './sqlite.js'

/** Commits keep coming between two checkpoints; each one leaves less to do for the next. */
const TRIES = 50
const PAUSE_MS = 2

const connection = new SqliteConnection(workerData as string, { readonly: false, timeoutMs: 0 })
try {
  const pause = new Int32Array(new SharedArrayBuffer(4))
  let result = { log: 0, checkpointed: 0 }
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = result.log
    result = connection.rows<typeof result>('PRAGMA wal_checkpoint(PASSIVE)')[0] as typeof result
    // Complete, and so it stayed: a writer may have gone on while the last one ran. Or the WAL was restarted already.
    if (result.checkpointed === result.log && attempt > 0 && result.log <= before) break
    Atomics.wait(pause, 0, 0, PAUSE_MS)
  }
  parentPort?.postMessage(result)
} finally {
  connection.close()
}
