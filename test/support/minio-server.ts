// Running MinIO: from a binary as a child process, or from an image as a container. Both keep their data in a directory that the
// caller names and listen on a fixed port of 127.0.0.1, so that either can be stopped and started again.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../src/errors.js'
import { mustRun, type Running, run, start } from './process.js'
import { until } from './until.js'

export const MINIO_USER = 'test-access-key'
export const MINIO_PASSWORD = 'test-secret-key'

export interface MinioProcess {
  /** Freeze: connections stay open, nothing is answered. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Kill it; connections are refused from then on. The data stays. */
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Start MinIO and wait until it serves. `program` is a binary's path or `image:<name>`. */
export async function startMinioProcess(program: string, port: number, dataDirectory: string): Promise<MinioProcess> {
  mkdirSync(dataDirectory, { recursive: true })
  const started = program.startsWith('image:')
    ? await startContainer(program.slice('image:'.length), port, dataDirectory)
    : startBinary(program, port, dataDirectory)
  try {
    await until(async () => (await fetch(`http://127.0.0.1:${port}/minio/health/ready`)).ok, {
      timeoutMs: 180_000,
      what: `MinIO on port ${port}`,
    })
  } catch (error) {
    await started.stop()
    throw error
  }
  return started
}

const environment = {
  MINIO_ROOT_USER: MINIO_USER,
  MINIO_ROOT_PASSWORD: MINIO_PASSWORD,
  MINIO_BROWSER: 'off',
  MINIO_UPDATE: 'off',
  // Its counters of requests and bytes can be read by everybody.
  MINIO_PROMETHEUS_AUTH_TYPE: 'public',
}

function startBinary(path: string, port: number, dataDirectory: string): MinioProcess {
  const running: Running = start(path, ['server', '--quiet', '--address', `127.0.0.1:${port}`, dataDirectory], {
    env: environment,
  })
  return {
    pause: async () => running.kill('SIGSTOP'),
    resume: async () => running.kill('SIGCONT'),
    stop: async () => void (await running.stop('SIGKILL')),
  }
}

async function startContainer(image: string, port: number, dataDirectory: string): Promise<MinioProcess> {
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true' // its image may not be available; every container is stopped by its owner
  const { GenericContainer, Wait } = await import('testcontainers')
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  const name = `litestream-test-${process.pid}-${port}`
  const container = await new GenericContainer(image)
    .withName(name)
    .withCommand(['server', '--quiet', '/data'])
    .withEnvironment({ ...environment, HOME: '/tmp' })
    .withUser(owner)
    .withBindMounts([{ source: dataDirectory, target: '/data' }])
    .withExposedPorts({ container: 9000, host: port })
    // From outside: the default looks at ports from within, by a shell that the image need not have.
    .withWaitStrategy(Wait.forHttp('/minio/health/ready', 9000))
    .start()
    .catch(async (error: unknown) => {
      const { stdout, stderr } = await run('docker', ['logs', name])
      await run('docker', ['rm', '--force', name]) // testcontainers leaves behind what did not start
      throw new Error(`${image} did not start: ${messageOf(error)}\n${stdout}${stderr}`, { cause: error })
    })
  let stopped = false
  return {
    pause: async () => void (await mustRun('docker', ['pause', container.getId()])),
    resume: async () => void (await mustRun('docker', ['unpause', container.getId()])),
    stop: async () => {
      if (stopped) return
      stopped = true
      await container.stop({ timeout: 0 })
    },
  }
}

let shared: { server: MinioProcess; directory: string } | undefined

/** The server of the whole run; its port as text. Called in the process that owns the resources only. */
export async function startSharedMinio(program: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'litestream-test-minio-'))
  try {
    const port = await freePort()
    shared = { server: await startMinioProcess(program, port, join(directory, 'data')), directory }
    return String(port)
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

export async function stopSharedMinio(): Promise<void> {
  await shared?.server.stop()
  if (shared) rmSync(shared.directory, { recursive: true, force: true })
  shared = undefined
}
