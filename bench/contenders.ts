// Who is compared. Each replicator follows the same database with the same configuration: 0.3.13's keys and defaults.

import { writeFileSync } from 'node:fs'
import { realBinary } from '../test/support/litestream-real.js'
import type { MinioServer } from '../test/support/minio.js'
import { readOnlyCommand } from '../test/support/observer/child.js'
import { start } from '../test/support/process.js'
import { distMain } from '../test/support/programs.js'
import { type Usage, usageOf } from './process-usage.js'

export const CONTENDERS = ['bare', 'litestream-0.3.13', 'ours', 'ours-read-only'] as const
export type Contender = (typeof CONTENDERS)[number]

export interface Replicator {
  usage(): Usage
  /** What it has logged. */
  readonly output: () => string
  /** SIGKILL; `gone` resolves when it has ended. */
  kill(): void
  readonly gone: Promise<unknown>
}

export interface Place {
  /** The directory of the database and of nothing else: the application's volume. */
  readonly volume: string
  readonly databasePath: string
  readonly configPath: string
}

export const SYNC_INTERVAL_MS = 1000

export function writeConfig({ configPath, databasePath }: Place, minio: MinioServer, bucket: string): void {
  writeFileSync(
    configPath,
    `dbs:
  - path: ${databasePath}
    replicas:
      - type: s3
        bucket: ${bucket}
        path: app
        endpoint: ${minio.endpoint}
        region: us-east-1
        force-path-style: true
        access-key-id: ${minio.accessKeyId}
        secret-access-key: ${minio.secretAccessKey}
        sync-interval: ${SYNC_INTERVAL_MS}ms
`,
  )
}

/** Undefined for the bare application. */
export async function startReplicator(contender: Contender, place: Place): Promise<Replicator | undefined> {
  if (contender === 'bare') return undefined
  const program = contender === 'litestream-0.3.13' ? [await realBinary()] : [process.execPath, await distMain()]
  const mount = contender === 'ours-read-only' ? readOnlyCommand(place.volume) : []
  const [command = '', ...args] = [...mount, ...program, 'replicate', '-config', place.configPath]
  const running = start(command, args)
  return {
    usage() {
      if (running.isRunning()) return usageOf(running.pid)
      throw new Error(`${contender} has ended:\n${running.output()}`)
    },
    output: running.output,
    kill: () => running.kill('SIGKILL'),
    gone: running.finished,
  }
}
