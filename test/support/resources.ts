// What tests need from outside of the repository, each made on first demand and once per test run:
//
//   dist              our program, compiled: the path of dist/cli/main.js
//   litestream        the real Litestream 0.3.13 (npm package, checked by its hash)
//   litestream05      the real Litestream 0.5.17 (PyPI package, checked by its hash); '' where it cannot be had
//   lz4               the real lz4 tool
//   docker            '' when a Docker engine answers, else the reason why there is none
//   images            '' once our image and the application's of the container tests are built
//   minioProgram      how to run MinIO: `image:<name>` or the path of a binary
//   minio             a running MinIO shared by the whole run, as JSON (see minio.ts)
//
// The vitest main process owns them (global-setup.ts) and serves them to the workers over a Unix socket, so that a run of unit
// tests starts nothing. Outside of vitest (bench) the process that asks owns them.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildImages } from './containers/docker.js'
import { findDocker, findLitestream, findLitestream05, findLz4, findMinio } from './find-programs.js'
import { makeDist } from './make-dist.js'
import { startSharedMinio, stopSharedMinio } from './minio-server.js'

export type ResourceName =
  | 'dist'
  | 'litestream'
  | 'litestream05'
  | 'lz4'
  | 'docker'
  | 'images'
  | 'minioProgram'
  | 'minio'

const makers: Record<ResourceName, () => Promise<string>> = {
  dist: makeDist,
  litestream: findLitestream,
  litestream05: findLitestream05,
  lz4: findLz4,
  docker: findDocker,
  images: async () => {
    await buildImages()
    return ''
  },
  minioProgram: async () => findMinio(await makeOnce('docker')),
  minio: async () => startSharedMinio(await makeOnce('minioProgram')),
}

const BROKER = 'LITESTREAM_TEST_BROKER'
const made = new Map<ResourceName, Promise<string>>()

function makeOnce(name: ResourceName): Promise<string> {
  let promise = made.get(name)
  if (!promise) {
    promise = makers[name]()
    made.set(name, promise)
  }
  return promise
}

/** The resource's value; from the process that owns it. */
export function resource(name: ResourceName): Promise<string> {
  let promise = made.get(name)
  if (promise) return promise
  const socketPath = process.env[BROKER]
  if (!socketPath) return makeOnce(name)
  promise = ask(socketPath, name)
  made.set(name, promise)
  return promise
}

function ask(socketPath: string, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: `/${name}` }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** Serve the resources to child processes, by an environment variable. Resolves with what ends it and everything it started. */
export async function serveResources(): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'litestream-test-broker-'))
  const socketPath = join(directory, 'socket')
  const server: Server = createServer((incoming, response) => {
    makeOnce((incoming.url ?? '').slice(1) as ResourceName).then(
      (value) => response.end(value),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    )
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  process.env[BROKER] = socketPath
  return async () => {
    delete process.env[BROKER]
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await made.get('minio')?.catch(() => {})
    await stopSharedMinio()
    rmSync(directory, { recursive: true, force: true })
  }
}
