// Where a benchmark ran. No names of hosts, users or paths: results are published.

import { arch, cpus, platform, release, totalmem } from 'node:os'
import Database from 'better-sqlite3'
import { resource } from '../test/support/resources.js'
import { storePlace } from './store-place.js'

export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly memoryBytes: number
  readonly kernel: string
  readonly node: string
  /** The application's SQLite, which is also the one of ours. */
  readonly sqlite: string
  readonly minio: 'container' | 'process'
  /** What holds MinIO's data. */
  readonly store: 'memory' | 'disk'
}

export async function describeMachine(): Promise<Machine> {
  const database = new Database(':memory:')
  const sqlite = database.prepare('SELECT sqlite_version()').pluck().get() as string
  database.close()
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    kernel: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    sqlite,
    minio: (await resource('minioProgram')).startsWith('image:') ? 'container' : 'process',
    store: storePlace().kind,
  }
}
