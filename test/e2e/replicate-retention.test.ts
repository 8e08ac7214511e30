// Retention with the real command, on a directory and on MinIO: what is promised restores while old snapshots and segments go, by us
// and by the real Litestream.

import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { openReplica, type ReplicaTarget } from '../../src/replica/open.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { keysBelow } from '../contract/bodies.js'
import { runReal } from '../support/litestream-real.js'
import { minioServer } from '../support/minio.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import {
  App,
  expectGoodEnd,
  fileTarget,
  linesWith,
  restoredRows,
  rowsIn,
  s3Target,
  s3Yaml,
  startWithConfig,
} from './replicating.js'

const RETENTION_MS = 4000

async function rowsAt(client: ReplicaClient, atMs: number, outputPath: string): Promise<string[]> {
  const options = { integrityCheck: 'full', parallelism: 4, logger: silentLogger } as const
  const target = { kind: 'time', atMs } as const
  const replicas = [{ name: 'replica', client }]
  await restoreDatabase({ replicas, outputPath, target, ...options, monotonic: () => performance.now() })
  return rowsIn(outputPath)
}

describe.each(['directory', 'MinIO'] as const)('on %s', (kind) => {
  test('old snapshots and segments go, the window stays', async () => {
    const directory = tempDirectory('retention')
    const app = new App(join(directory, 'storage', 'app.db'))
    let target: ReplicaTarget = fileTarget(join(directory, 'replica'))
    let place = `path: ${join(directory, 'replica')}`
    if (kind === 'MinIO') {
      const minio = await minioServer()
      const bucket = await minio.createBucket('retention')
      target = s3Target(minio, bucket, 'app')
      place = s3Yaml(minio, bucket, 'app')
    }
    const policy = 'sync-interval: 20ms, snapshot-interval: 500ms, retention: 4s, retention-check-interval: 500ms'
    const daemon = await startWithConfig(
      directory,
      `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [{${place}, ${policy}}]}]\n`,
    )
    const client = await openReplica(target)
    /** When each row was certainly committed. */
    const committed: { name: string; atMs: number }[] = []
    const write = (): void => {
      app.write(`commit ${app.rows.length}`)
      committed.push({ name: app.rows.at(-1) as string, atMs: Date.now() })
    }
    write()
    await until(async () => (await keysBelow(client, 'generations/')).length > 0, { what: 'the first snapshot' })
    const [first] = await keysBelow(client, 'generations/')
    const firstGone = async (): Promise<boolean> => {
      write()
      return !(await keysBelow(client, 'generations/')).includes(first as string)
    }
    await until(firstGone, { what: 'the first snapshot to go', timeoutMs: 90_000, intervalMs: 40 })
    await daemon.waitForLine(/snapshot deleted/)
    await daemon.waitForLine(/wal segmented deleted before/)
    // The window moves on while the restore runs: a moment well inside of it.
    for (const backMs of [RETENTION_MS / 4, RETENTION_MS / 2]) {
      const atMs = Date.now() - backMs
      const rows = await rowsAt(client, atMs, join(directory, `at-${backMs}.db`))
      // What was committed then, but for what was not observed yet: exactly a beginning of what was written, up to about there.
      expect(rows).toEqual(app.rows.slice(0, rows.length))
      const surely = committed.filter((one) => one.atMs <= atMs - 1000).length
      const atMost = committed.filter((one) => one.atMs <= atMs).length + 1
      expect(rows.length).toBeGreaterThanOrEqual(surely)
      expect(rows.length).toBeLessThanOrEqual(atMost)
    }
    const end = await daemon.stop()
    expectGoodEnd(end)
    expect(linesWith(end.stdout, 'snapshot deleted').length).toBeGreaterThan(0)
    expect(linesWith(end.stdout, 'wal segmented deleted before').length).toBeGreaterThan(0)
    expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(1)
    expect(await restoredRows(target, directory)).toEqual(app.rows)
    await client.close()
    if (kind !== 'directory') return
    const real = await runReal(['restore', '-o', join(directory, 'real.db'), `file://${join(directory, 'replica')}`])
    expect(real.code, real.stderr).toBe(0)
  }, 180_000)
})

test('a retention shorter than the snapshot interval is explained at the start', async () => {
  const directory = tempDirectory('retention')
  const app = new App(join(directory, 'storage', 'app.db'))
  const policy = 'snapshot-interval: 6h, retention: 1h'
  const daemon = await startWithConfig(
    directory,
    `dbs: [{path: ${app.path}, replicas: [{path: ${join(directory, 'replica')}, ${policy}}]}]\n`,
  )
  await daemon.waitForLine(
    /level=WARN msg="retention \(1h0m0s\) is shorter than snapshot-interval \(6h0m0s\).*up to 7h0m0s in all"/,
  )
  expectGoodEnd(await daemon.stop())
})
