// Who is compared. Each replicator follows the same databases with the same configuration: 0.3.13's keys and defaults.

import { writeFileSync } from 'node:fs'
import { realBinary } from '../test/support/litestream-real.js'
import type { MinioServer } from '../test/support/minio.js'
import { readOnlyCommand } from '../test/support/observer/child.js'
import { start } from '../test/support/process.js'
import { distMain } from '../test/support/programs.js'
import { resource } from '../test/support/resources.js'
import { type Usage, usageOf } from './process-usage.js'

export const CONTENDERS = ['bare', 'litestream-0.3.13', 'litestream-0.5.17', 'ours', 'ours-read-only'] as const
export type Contender = (typeof CONTENDERS)[number]

export const LABELS: Readonly<Record<Contender, string>> = {
  bare: 'bare application',
  'litestream-0.3.13': 'Litestream 0.3.13',
  'litestream-0.5.17': 'Litestream 0.5.17',
  ours: 'ours',
  'ours-read-only': 'ours, read-only mount',
}

export interface Replicator {
  readonly pid: number
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
  readonly configPath: string
}

/** Of each replica, unless a benchmark says otherwise. */
export const SYNC_INTERVAL_MS = 1000

export interface Replication {
  readonly databasePath: string
  readonly bucket: string
  /** Within the bucket. */
  readonly path: string
}

export function writeConfig(
  configPath: string,
  { endpoint, accessKeyId, secretAccessKey }: Pick<MinioServer, 'endpoint' | 'accessKeyId' | 'secretAccessKey'>,
  replications: readonly Replication[],
  syncIntervalMs: number,
): void {
  const databases = replications.map(
    ({ databasePath, bucket, path }) => `  - path: ${databasePath}
    replicas:
      - type: s3
        bucket: ${bucket}
        path: ${path}
        endpoint: ${endpoint}
        region: us-east-1
        force-path-style: true
        access-key-id: ${accessKeyId}
        secret-access-key: ${secretAccessKey}
        sync-interval: ${syncIntervalMs}ms
`,
  )
  writeFileSync(configPath, `dbs:\n${databases.join('')}`)
}

/** Those whose program is here. */
export async function availableContenders(): Promise<Contender[]> {
  const newer = await resource('litestream05')
  return CONTENDERS.filter((contender) => contender !== 'litestream-0.5.17' || newer !== '')
}

/** The contender's command, to be followed by its arguments. */
export async function commandOf(contender: Contender): Promise<string[]> {
  if (contender === 'litestream-0.3.13') return [await realBinary()]
  if (contender === 'litestream-0.5.17') return [await resource('litestream05')]
  return [process.execPath, await distMain()]
}

/** 0.5.17 refuses to start when the file that this names has gone; the stores of the benchmarks have no certificates. */
const ENVIRONMENT = { AWS_CA_BUNDLE: undefined }

/** Undefined for the bare application. */
export async function startReplicator(contender: Contender, place: Place): Promise<Replicator | undefined> {
  if (contender === 'bare') return undefined
  const mount = contender === 'ours-read-only' ? readOnlyCommand(place.volume) : []
  const words = [...mount, ...(await commandOf(contender)), 'replicate', '-config', place.configPath]
  const [command = '', ...args] = words
  const running = start(command, args, { env: ENVIRONMENT })
  return {
    pid: running.pid,
    usage() {
      if (running.isRunning()) return usageOf(running.pid)
      throw new Error(`${contender} has ended:\n${running.output()}`)
    },
    output: running.output,
    kill: () => running.kill('SIGKILL'),
    gone: running.finished,
  }
}

export interface CommandUsage extends Usage {
  readonly code: number
  readonly output: string
  readonly milliseconds: number
}

/** How often a command that ends is looked at: what it used is known up to so long before its end. */
const LOOK_MS = 5

/** Runs a contender's command to its end. */
export async function runCommand(contender: Contender, args: readonly string[]): Promise<CommandUsage> {
  const [command = '', ...words] = [...(await commandOf(contender)), ...args]
  const beganMs = performance.now()
  const running = start(command, words, { env: ENVIRONMENT, timeoutMs: 1_800_000 })
  let usage: Usage = { cpuSeconds: 0, peakMemoryBytes: 0, residentBytes: 0 }
  const look = setInterval(() => {
    try {
      usage = usageOf(running.pid)
    } catch {
      // it has just ended
    }
  }, LOOK_MS)
  const exit = new Promise<number>((resolve) => running.child.once('exit', () => resolve(performance.now() - beganMs)))
  try {
    const { code } = await running.finished
    return { ...usage, code, output: running.output(), milliseconds: await exit }
  } finally {
    clearInterval(look)
  }
}
