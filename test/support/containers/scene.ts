// One deployment for one test: an application's volume, our image with a configuration, and a replica on a second volume or in MinIO.
// Everything is removed after the test; when it fails, what the containers printed is shown.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'
import { minioServer } from '../minio.js'
import { needDocker } from '../programs.js'
import { tempDirectory } from '../temp.js'
import { APPLICATION_IMAGE, Container, OUR_IMAGE, runContainer, Volume } from './docker.js'

export const STORAGE = '/rails/storage'
export const DATABASE = `${STORAGE}/production.sqlite3`
export const USER = '1000:1000'

export interface Scene {
  /** An application container; it writes until there are `count` transactions. */
  application(count: number): Promise<Container>
  /** A one-shot command of the application's program. */
  ask(...words: string[]): Promise<string>
  /** A command of the application's program that goes on. */
  background(...words: string[]): Promise<Container>
  litestream(options?: readonly string[], words?: readonly string[]): Promise<Container>
  /** What `state` prints of a restored copy. */
  restored(): Promise<string>
  /** Names, owners, modes and sizes on the database's volume. */
  listing(): Promise<string>
}

export interface SceneOptions {
  readonly mount: 'ro' | 'rw'
  readonly storage: 'directory' | 'minio'
  readonly user?: string
}

export async function makeScene(context: TestContext, { mount, storage, user = '0:0' }: SceneOptions): Promise<Scene> {
  await needDocker(context)
  const started: Container[] = []
  const volumes: Volume[] = []
  onTestFinished(async () => {
    for (const container of started) {
      if (context.task.result?.state === 'fail') console.error(`container ${container.id}:\n${await container.logs()}`)
      await container.remove()
    }
    for (const volume of volumes) await volume.remove()
  })
  const start = async (options: readonly string[], image: string, words: readonly string[]): Promise<Container> => {
    const container = await Container.start(options, image, words)
    started.push(container)
    return container
  }
  const database = await Volume.create('database', USER)
  const replica = await Volume.create('replica', user)
  volumes.push(database, replica)
  const { yaml, options: storageOptions } = storage === 'minio' ? await inMinio() : inDirectory(replica)
  const config = join(tempDirectory('containers'), 'litestream.yml')
  writeFileSync(config, `dbs:\n- path: ${DATABASE}\n  replicas: [{${yaml}, sync-interval: 200ms}]\n`)
  const ours = ['--volume', `${config}:/etc/litestream.yml:ro`, ...storageOptions]
  const shared = ['--user', USER, '--volume', `${database.name}:${STORAGE}`]

  return {
    application: (count) => start(shared, APPLICATION_IMAGE, ['write', DATABASE, String(count)]),
    background: (...words) => start(shared, APPLICATION_IMAGE, words),
    ask: (...words) => runContainer(shared, APPLICATION_IMAGE, words),
    litestream: (options = [], words = ['replicate']) => {
      const all = ['--user', user, '--volume', `${database.name}:${STORAGE}:${mount}`, ...ours, ...options]
      return start(all, OUR_IMAGE, words)
    },
    restored: () => {
      const script = `litestream restore -o /tmp/copy ${DATABASE} && node /application.cjs state /tmp/copy`
      return runContainer([...ours, '--entrypoint', 'sh'], APPLICATION_IMAGE, ['-c', script])
    },
    listing: () => runContainer(shared, APPLICATION_IMAGE, ['list', STORAGE]),
  }
}

function inDirectory(replica: Volume) {
  return { yaml: 'path: /backup/production', options: ['--volume', `${replica.name}:/backup`] }
}

/** The variables as Kamal passes them, in the container's environment. */
async function inMinio() {
  const { endpoint, accessKeyId, secretAccessKey, createBucket } = await minioServer()
  const env = {
    BUCKET_NAME: await createBucket('containers'),
    S3_ENDPOINT: endpoint,
    LITESTREAM_ACCESS_KEY_ID: accessKeyId,
    LITESTREAM_SECRET_ACCESS_KEY: secretAccessKey,
  }
  const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const yaml = `type: s3, bucket: "\${BUCKET_NAME}", path: production, endpoint: "\${S3_ENDPOINT}"`
  // MinIO listens on the host's own address.
  return { yaml, options: [...options, '--network', 'host'] }
}

/** The states that an application's container printed, each `<transaction> <digest>`. */
export const stateLines = (logs: string): string[] => logs.split('\n').filter((line) => /^\d+ /.test(line))

/** As far as privileges can be taken away. */
export const HARDENED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']
