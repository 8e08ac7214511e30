// The support modules hold up themselves: what they fetch runs, what they start stops.

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, onTestFinished, test } from 'vitest'
import { runReal } from './litestream-real.js'
import { minioServer, privateMinio } from './minio.js'
import { run, start } from './process.js'
import { lz4Binary } from './programs.js'
import { tempDirectory } from './temp.js'

test('the real Litestream is 0.3.13', async () => {
  expect((await runReal(['version'])).stdout).toBe('v0.3.13\n')
})

test('the real lz4 runs', async () => {
  const file = join(tempDirectory(), 'text')
  writeFileSync(file, 'text')
  expect((await run(await lz4Binary(), ['-q', file, `${file}.lz4`])).code).toBe(0)
  expect(existsSync(`${file}.lz4`)).toBe(true)
})

test('the shared MinIO stores objects', async () => {
  const minio = await minioServer()
  const Bucket = await minio.createBucket()
  await minio.sdk.send(new PutObjectCommand({ Bucket, Key: 'a/b', Body: 'text' }))
  const { Contents } = await minio.sdk.send(new ListObjectsV2Command({ Bucket }))
  expect(Contents?.map(({ Key }) => Key)).toEqual(['a/b'])
})

test('a private MinIO refuses connections while stopped and keeps its data', async () => {
  const minio = await privateMinio()
  onTestFinished(minio.remove)
  const Bucket = await minio.createBucket()
  await minio.sdk.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'text' }))
  await minio.stop()
  await expect(fetch(minio.endpoint)).rejects.toThrow('fetch failed')
  await minio.start()
  expect((await minio.sdk.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(1)
})

test('a process is awaited by its lines, its end and its status', async () => {
  const running = start('sh', ['-c', 'echo ready; read line; echo "$line" >&2; exit 3'], { input: 'hello\n' })
  expect(await running.waitForLine(/^ready/)).toBe('ready')
  expect(await running.finished).toMatchObject({ code: 3, signal: null, stdout: 'ready\n', stderr: 'hello\n' })
  await expect(running.waitForLine(/never/)).rejects.toThrow('ended without printing')
  const sleeper = start('sleep', ['1000'])
  expect(await sleeper.stop()).toMatchObject({ code: 143, signal: 'SIGTERM' })
})
