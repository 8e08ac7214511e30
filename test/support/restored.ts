// What a replica restores to, as bytes.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { silentLogger } from '../../src/logger.js'
import type { ReplicaClient } from '../../src/replica/client.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { tempDirectory } from './temp.js'

/** The database at the newest position; its pages need not be ones that SQLite would take. */
export async function restored(client: ReplicaClient): Promise<Buffer> {
  const outputPath = join(tempDirectory('restored'), 'restored.db')
  const options = { target: { kind: 'latest' }, integrityCheck: 'none', parallelism: 1, logger: silentLogger } as const
  const replicas = [{ name: 'replica', client }]
  expect(await restoreDatabase({ replicas, outputPath, ...options, monotonic: () => 0 })).toBeDefined()
  return readFileSync(outputPath)
}
