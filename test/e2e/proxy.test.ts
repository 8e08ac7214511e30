// The real command where the environment names a proxy: through it where this Node can, else directly, and then it says so.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { canUseProxies } from '../../src/replica/proxies.js'
import { fakeStore } from '../support/fake-s3.js'
import { forwardProxy } from '../support/forward-proxy.js'
import { runOurs } from '../support/programs.js'
import { tempDirectory } from '../support/temp.js'
import { App, expectGoodEnd, linesWith, startWithConfig, untilReplicated } from './replicating.js'

test('replicate and doctor', async () => {
  const directory = tempDirectory('proxy')
  const store = await fakeStore()
  const proxy = await forwardProxy(store.port)
  const app = new App(join(directory, 'storage', 'app.db'))
  const place = { bucket: 'bkt', path: 'app', region: 'us-east-1', endpoint: store.endpoint }
  const keys = { accessKeyId: 'id', secretAccessKey: 'the-secret' }
  const replica = `{type: s3, bucket: bkt, path: app, region: us-east-1, endpoint: "${store.endpoint}", access-key-id: id, secret-access-key: the-secret}`
  const env = { HTTP_PROXY: proxy.url, http_proxy: undefined, NO_PROXY: undefined, no_proxy: undefined }
  const daemon = await startWithConfig(directory, `dbs: [{path: ${app.path}, replicas: [${replica}]}]\n`, [], { env })
  app.write('one')
  await untilReplicated(app, { type: 's3', ...place, ...keys }, directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  const warnings = linesWith(end.stdout, 'level=WARN', 'HTTP_PROXY is set', 'go out directly')
  const doctor = await runOurs(['doctor', '-config', join(directory, 'litestream.yml')], { env })
  expect(doctor.code, doctor.stdout).toBe(0)
  if (canUseProxies(process.versions.node)) {
    expect(warnings).toEqual([])
    expect(proxy.asked.some((one) => one.startsWith(`PUT ${store.endpoint}/bkt/app/generations/`))).toBe(true)
    expect(doctor.stdout).toContain('through the proxy that HTTP_PROXY names')
  } else {
    expect(warnings).toHaveLength(1)
    expect(proxy.asked).toEqual([])
    expect(doctor.stdout).toContain('HTTP_PROXY is set, but Node')
  }
}, 60_000)
