// Where a world keeps its replica, and the ways back out of it: our restore inside this process (fast), our command, the real 0.3.13.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '../../src/logger.js'
import { parseKey } from '../../src/model/layout.js'
import { openReplica, type ReplicaTarget } from '../../src/replica/open.js'
import { restoreDatabase } from '../../src/restore/restore.js'
import { keysBelow } from '../contract/bodies.js'
import { runReal } from '../support/litestream-real.js'
import { minioServer } from '../support/minio.js'
import type { Finished } from '../support/process.js'
import { runOurs } from '../support/programs.js'

export interface ReplicaTimes {
  readonly monitorIntervalMs: number
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  /** Absent: as the daemon does when nothing is said. */
  readonly retentionMs?: number
  readonly retentionCheckIntervalMs?: number
  readonly validationIntervalMs?: number
}

export class ReplicaPlace {
  private constructor(
    private readonly directory: string,
    private readonly databasePath: string,
    private readonly target: ReplicaTarget,
    private readonly yaml: string,
    /** The same place on the way that the daemon takes. */
    private readonly daemonYaml = yaml,
  ) {}

  /** `daemonEndpoint`: where the daemon finds the store of an `s3` place, when that is not where restores find it. */
  static async make(
    kind: 'file' | 's3',
    directory: string,
    databasePath: string,
    daemonEndpoint?: string,
  ): Promise<ReplicaPlace> {
    mkdirSync(directory, { recursive: true })
    if (kind === 'file') {
      const path = join(directory, 'replica')
      return new ReplicaPlace(directory, databasePath, { type: 'file', path }, `type: file, path: "${path}"`)
    }
    const { endpoint, accessKeyId, secretAccessKey, createBucket } = await minioServer()
    const bucket = await createBucket('crash')
    const common = { bucket, path: 'db', endpoint, region: 'us-east-1' }
    const target: ReplicaTarget = {
      ...common,
      type: 's3',
      forcePathStyle: true,
      skipVerify: false,
      accessKeyId,
      secretAccessKey,
    }
    const yamlOf = (at: string): string => {
      const keys = { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey }
      const fields = Object.entries({ ...common, endpoint: at, ...keys })
      return ['type: s3', ...fields.map(([key, value]) => `${key}: "${value}"`)].join(', ')
    }
    const daemonYaml = yamlOf(daemonEndpoint ?? endpoint)
    return new ReplicaPlace(directory, databasePath, target, yamlOf(endpoint), daemonYaml)
  }

  /** Writes the configurations, one for restores and one for the daemon; the path of the daemon's. */
  configure(times: ReplicaTimes): string {
    const policies = Object.entries({
      'snapshot-interval': times.snapshotIntervalMs,
      retention: times.retentionMs,
      'retention-check-interval': times.retentionCheckIntervalMs,
      'validation-interval': times.validationIntervalMs,
    }).map(([key, ms]) => (ms ? `, ${key}: ${ms}ms` : ''))
    const write = (name: string, yaml: string): string => {
      const path = join(this.directory, name)
      const replica = `{${yaml}, sync-interval: ${times.syncIntervalMs}ms${policies.join('')}}`
      const database = `- path: "${this.databasePath}"\n  monitor-interval: ${times.monitorIntervalMs}ms`
      writeFileSync(path, `dbs:\n${database}\n  replicas:\n  - ${replica}\n`)
      return path
    }
    write('litestream.yml', this.yaml)
    return write('daemon.yml', this.daemonYaml)
  }

  /** Keys of everything in it. */
  async keys(): Promise<string[]> {
    const client = await openReplica(this.target)
    try {
      return await keysBelow(client, 'generations/')
    } finally {
      await client.close()
    }
  }

  /** True when there is a snapshot, so that something can be restored. */
  async isRestorable(): Promise<boolean> {
    return (await this.keys()).some((key) => parseKey(key)?.kind === 'snapshot')
  }

  /** False when it says that there is nothing to restore. */
  async restoreHere(outputPath: string): Promise<boolean> {
    rmSync(outputPath, { force: true })
    const client = await openReplica(this.target)
    try {
      const result = await restoreDatabase({
        replicas: [{ name: 'replica', client }],
        outputPath,
        target: { kind: 'latest' },
        integrityCheck: 'none',
        parallelism: 4,
        logger: silentLogger,
        monotonic: () => performance.now(),
      })
      return result !== undefined
    } finally {
      await client.close()
    }
  }

  async restoreByOurs(outputPath: string): Promise<Finished> {
    rmSync(outputPath, { force: true })
    const config = join(this.directory, 'litestream.yml')
    return await runOurs(['restore', '-config', config, '-o', outputPath, this.databasePath])
  }

  async restoreByReal(outputPath: string): Promise<Finished> {
    for (const suffix of ['', '.tmp-shm', '.tmp-wal']) rmSync(outputPath + suffix, { force: true })
    const config = join(this.directory, 'litestream.yml')
    return await runReal(['restore', '-config', config, '-o', outputPath, this.databasePath])
  }
}
