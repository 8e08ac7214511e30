import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { canUseProxies, proxyNote, proxyVariable } from '../../../src/replica/proxies.js'
import { S3ReplicaClient } from '../../../src/replica/s3-client.js'
import { bodyOf } from '../../contract/bodies.js'
import { forwardProxy } from '../../support/forward-proxy.js'
import { listening } from '../../support/listening.js'
import { projectRoot } from '../../support/make-dist.js'
import { scripted } from '../../support/scripted-store.js'

const here = process.versions.node

test('Nodes that can', () => {
  expect(['24.5.0', '24.21.0', '22.21.0', '25.0.0', '26.1.0'].filter((version) => !canUseProxies(version))).toEqual([])
  expect(['20.20.2', '22.20.9', '23.11.0', '24.4.1'].filter(canUseProxies)).toEqual([])
})

test('which variable names the proxy, and what is exempt', () => {
  const [https, http] = [new URL('https://store.example.com'), new URL('http://store.example.com:9000')]
  expect(proxyVariable(https, {})).toBeUndefined()
  expect(proxyVariable(https, { HTTP_PROXY: 'x' })).toBeUndefined()
  expect(proxyVariable(https, { HTTPS_PROXY: 'x' })).toBe('HTTPS_PROXY')
  expect(proxyVariable(http, { http_proxy: 'x', HTTP_PROXY: 'y' })).toBe('http_proxy')
  const exempts = (url: URL, list: string) => proxyVariable(url, { HTTP_PROXY: 'x', HTTPS_PROXY: 'x', NO_PROXY: list })
  for (const list of ['*', 'store.example.com', 'a, .example.com', '*.example.com', 'STORE.example.com']) {
    expect(exempts(https, list), list).toBeUndefined()
    expect(exempts(http, list), list).toBeUndefined()
  }
  expect(exempts(http, 'store.example.com:9000')).toBeUndefined()
  for (const list of ['', 'example.com', 'ore.example.com', 'store.example.com:80', '.other.com']) {
    expect(exempts(http, list), list).toBe('HTTP_PROXY')
  }
})

test('only a Node that cannot is worth a word', () => {
  const url = new URL('https://store.example.com')
  expect(proxyNote(url, { HTTPS_PROXY: 'http://user:secret@proxy' }, '20.20.2')).toMatch(
    /^HTTPS_PROXY is set, but Node 20.20.2 cannot use a proxy: requests to store.example.com go out directly; take Node/,
  )
  expect(proxyNote(url, { HTTPS_PROXY: 'http://proxy' }, '24.5.0')).toBeUndefined()
  expect(proxyNote(url, {}, '20.20.2')).toBeUndefined()
})

/** Only a proxy knows the way to it. */
const HOST = 'store.invalid'

async function store(scheme: 'http' | 'https') {
  let port: number
  if (scheme === 'http') {
    const { endpoint } = await scripted((_, response) => void response.writeHead(200).end())
    port = Number(new URL(endpoint).port)
  } else {
    const tls = (name: string) => readFileSync(join(projectRoot, 'test/support/tls', name))
    const options = { key: tls('self-signed.key'), cert: tls('self-signed.crt') }
    port = await listening(
      createServer(options, (incoming, response) => {
        incoming.resume().on('end', () => void response.writeHead(200).end())
      }),
    )
  }
  const proxy = await forwardProxy(port)
  const client = (more: Record<string, string>) => {
    const one = new S3ReplicaClient({
      bucket: 'bkt',
      endpoint: `${scheme}://${HOST}`,
      accessKeyId: 'id',
      secretAccessKey: 'secret',
      skipVerify: true,
      attemptsMax: 1,
      env: { [`${scheme.toUpperCase()}_PROXY`]: proxy.url, ...more },
    })
    onTestFinished(() => one.close())
    return one
  }
  return { client, proxy }
}

describe.each([
  ['https', `CONNECT ${HOST}:443`],
  ['http', `PUT http://${HOST}/bkt/key`],
] as const)('a store behind a proxy, by %s', (scheme, expected) => {
  test(`${canUseProxies(here) ? 'is reached through it' : 'is not reached by this Node, which says so'}`, async () => {
    const { client, proxy } = await store(scheme)
    const put = client({}).put('key', bodyOf('text'))
    if (canUseProxies(here)) {
      expect(await put).toMatchObject({ key: 'key', size: 4 })
      expect(proxy.asked).toEqual([expected])
    } else {
      await expect(put).rejects.toMatchObject({ code: 'STORAGE' })
      expect(proxy.asked).toEqual([])
    }
  })

  test('is asked directly where it is exempt', async () => {
    const { client, proxy } = await store(scheme)
    await expect(client({ NO_PROXY: '.invalid' }).put('key', bodyOf('text'))).rejects.toMatchObject({ code: 'STORAGE' })
    expect(proxy.asked).toEqual([])
  })
})
