// S3-compatible storage for tests: one MinIO shared by the whole run, each test with a bucket of its own; or a private server
// that the test may freeze, stop and start again.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { freePort, MINIO_PASSWORD, MINIO_USER, type MinioProcess, startMinioProcess } from './minio-server.js'
import { resource } from './resources.js'

export interface MinioServer {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** A client of the SDK, for looking at buckets from outside of our code. */
  readonly sdk: S3Client
  /** A new empty bucket with a name that nobody else uses. */
  createBucket(label?: string): Promise<string>
}

export interface PrivateMinio extends MinioServer {
  pause(): Promise<void>
  resume(): Promise<void>
  /** Connections are refused until `start`; the data stays. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Stop for good and remove the data. */
  remove(): Promise<void>
}

/** The SDK warns of old Node versions, in several lines, at its first construction in a process. */
function quietly<T>(construct: () => T): T {
  const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'
  process.env[name] = 'true'
  try {
    return construct()
  } finally {
    delete process.env[name]
  }
}

function serverOn(port: number): MinioServer {
  const endpoint = `http://127.0.0.1:${port}`
  const sdk = quietly(
    () =>
      new S3Client({
        endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: MINIO_USER, secretAccessKey: MINIO_PASSWORD },
      }),
  )
  return {
    endpoint,
    accessKeyId: MINIO_USER,
    secretAccessKey: MINIO_PASSWORD,
    sdk,
    async createBucket(label = 'test') {
      const bucket = `${label}-${randomBytes(6).toString('hex')}`
      await sdk.send(new CreateBucketCommand({ Bucket: bucket }))
      return bucket
    },
  }
}

/** The server of this test run, started by the first caller. */
export async function minioServer(): Promise<MinioServer> {
  return serverOn(Number(await resource('minio')))
}

/** A server of the caller's own, its data below `parent`. Stop it with `remove` (in `onTestFinished` or `afterAll`). */
export async function privateMinio(parent = tmpdir()): Promise<PrivateMinio> {
  const program = await resource('minioProgram')
  const directory = mkdtempSync(join(parent, 'litestream-test-minio-'))
  const port = await freePort()
  const data = join(directory, 'data')
  let current: MinioProcess | undefined = await startMinioProcess(program, port, data)
  const stop = async (): Promise<void> => {
    await current?.stop()
    current = undefined
  }
  return {
    ...serverOn(port),
    stop,
    pause: async () => current?.pause(),
    resume: async () => current?.resume(),
    start: async () => {
      current ??= await startMinioProcess(program, port, data)
    },
    remove: async () => {
      await stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
