// Credentials that end while the real command runs: of a profile's file, of a container's endpoint, of a web identity. The store knows
// which key signed and refuses the ones that are over, as S3 does. The daemon gets new ones and goes on, and nobody notices.

import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ReplicaTarget } from '../../src/replica/open.js'
import { type FakeStore, fakeStore, signerOf } from '../support/fake-s3.js'
import type { Running } from '../support/process.js'
import { tempDirectory } from '../support/temp.js'
import { until } from '../support/until.js'
import { App, expectGoodEnd, linesWith, restoredRows, startWithConfig, untilReplicated } from './replicating.js'

/** Nothing of the machine that the tests run on counts. */
const NO_AWS: Readonly<Record<string, undefined>> = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(AWS|LITESTREAM)_|proxy$/i.test(name))
    .map((name) => [name, undefined]),
)
const READER = 'TheReader'

/** Keys KEY1, KEY2, … of which one is valid at a time. */
class Keys {
  number = 1
  /** What the store said to those that are over. */
  refusals = 0
  readonly used = new Set<string>()

  get id(): string {
    return `KEY${this.number}`
  }

  /** The keys so far are over. */
  rotate(): void {
    this.number++
  }

  check(id: string): readonly [number, string] | undefined {
    this.used.add(id)
    if (id === READER || id === this.id) return undefined
    this.refusals++
    return /^KEY\d+$/.test(id) ? [400, 'ExpiredToken'] : [403, 'InvalidAccessKeyId']
  }
}

interface Scene {
  readonly app: App
  readonly keys: Keys
  readonly store: FakeStore
  readonly directory: string
  readonly target: ReplicaTarget
  start(env: Readonly<Record<string, string>>): Promise<Running>
}

async function scene(): Promise<Scene> {
  const directory = tempDirectory('credentials')
  const keys = new Keys()
  const store = await fakeStore({ refuse: (request) => keys.check(signerOf(request)) })
  const app = new App(join(directory, 'storage', 'app.db'))
  const place = { bucket: 'bkt', path: 'app', region: 'us-east-1', endpoint: store.endpoint }
  const replica = `{type: s3, bucket: bkt, path: app, region: us-east-1, endpoint: "${store.endpoint}", sync-interval: 20ms}`
  return {
    app,
    keys,
    store,
    directory,
    target: { type: 's3', ...place, accessKeyId: READER, secretAccessKey: 'secret' },
    start: (env) =>
      startWithConfig(directory, `dbs: [{path: ${app.path}, monitor-interval: 20ms, replicas: [${replica}]}]\n`, [], {
        env: { ...NO_AWS, AWS_EC2_METADATA_DISABLED: 'true', HOME: directory, ...env },
      }),
  }
}

async function server(answer: (request: IncomingMessage, body: string, response: ServerResponse) => void) {
  const listening = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => answer(request, body, response))
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    listening.closeAllConnections()
    listening.close()
  })
  return `http://127.0.0.1:${(listening.address() as { port: number }).port}`
}

/** Written, replicated, and again after the keys have changed; `rotate` does that. */
async function survives({ app, keys, directory, target }: Scene, daemon: Running, rotate: () => void): Promise<void> {
  app.write('with the first keys')
  await untilReplicated(app, target, directory)
  for (let round = 0; round < 2; round++) {
    rotate()
    app.write(`with keys ${keys.number}`)
    await untilReplicated(app, target, directory)
  }
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'level=ERROR')).toEqual([])
  expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(1)
  expect([...keys.used].filter((id) => id !== READER)).toEqual(['KEY1', 'KEY2', 'KEY3'])
  // The store was not stormed: each of the two changes was noticed by a request or two.
  expect(keys.refusals).toBeGreaterThanOrEqual(2)
  expect(keys.refusals).toBeLessThan(8)
}

test('a profile whose file another program rewrites', async () => {
  const place = await scene()
  const [credentials, config] = [join(place.directory, 'credentials'), join(place.directory, 'config')]
  const write = (): void =>
    writeFileSync(
      credentials,
      `[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n\n[backup]\naws_access_key_id = ${place.keys.id}\naws_secret_access_key = secret\naws_session_token = the-session\n`,
    )
  write()
  writeFileSync(config, '[profile other]\nregion = eu-west-1\n')
  const daemon = await place.start({
    AWS_PROFILE: 'backup',
    AWS_SHARED_CREDENTIALS_FILE: credentials,
    AWS_CONFIG_FILE: config,
  })
  await survives(place, daemon, () => {
    place.keys.rotate()
    write()
  })
}, 60_000)

/** A container's endpoint, as ECS, EKS and others have it. It gives out the keys that are valid now, for `validMs`. */
async function container({ keys, directory }: Scene, validMs: () => number) {
  const asked: (string | undefined)[] = []
  let isDown = false
  const url = await server((request, _, response) => {
    asked.push(request.headers.authorization)
    if (isDown) return void response.writeHead(500).end()
    const Expiration = new Date(Date.now() + validMs()).toISOString()
    response.end(JSON.stringify({ AccessKeyId: keys.id, SecretAccessKey: 'secret', Token: 'the-session', Expiration }))
  })
  const token = join(directory, 'container-token')
  writeFileSync(token, 'the-authorization')
  const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/keys`, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token }
  const down = (value: boolean): void => {
    isDown = value
  }
  return { asked, env, down }
}

test('a container whose keys are over long before they said', async () => {
  const place = await scene()
  const { asked, env } = await container(place, () => 3_600_000)
  await survives(place, await place.start(env), () => place.keys.rotate())
  expect(new Set(asked)).toEqual(new Set(['the-authorization']))
  expect(asked.length).toBeLessThan(10)
}, 60_000)

test('a container whose keys expire as they said, with its endpoint down at that moment', async () => {
  const place = await scene()
  const { app, keys, directory, target } = place
  // The SDK asks again for keys that are near their end, at each request.
  const { asked, env, down } = await container(place, () => 1500)
  const daemon = await place.start(env)
  for (let round = 0; round < 3; round++) {
    app.write(`with keys ${keys.number}`)
    await untilReplicated(app, target, directory)
    keys.rotate()
  }
  down(true)
  const before = asked.length
  app.write('while nobody gives out keys')
  const error = await daemon.waitForLine(/msg="monitor error"/)
  expect(error).toContain('where a profile, a container or a role is to give them out, it does not')
  await until(() => asked.length > before + 4, { what: 'more questions for keys' })
  down(false)
  await untilReplicated(app, target, directory)
  app.write('the last one')
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'level=ERROR')).toHaveLength(1)
  expect(linesWith(end.stdout, 'replica works again')).toHaveLength(1)
  expect(linesWith(end.stdout, 'sync: new generation')).toHaveLength(1)
  expect(keys.used.size).toBeGreaterThan(4)
  expect(await restoredRows(target, directory)).toEqual(app.rows)
}, 60_000)

test('a web identity: the token is read anew, and STS exchanges it', async () => {
  const place = await scene()
  const { keys, directory } = place
  const file = join(directory, 'web-identity-token')
  const seen: Record<string, string | null>[] = []
  const sts = await server((_, body, response) => {
    const fields = new URLSearchParams(body)
    seen.push(Object.fromEntries(['Action', 'RoleArn', 'WebIdentityToken'].map((name) => [name, fields.get(name)])))
    response.writeHead(200, { 'content-type': 'text/xml' })
    response.end(
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${keys.id}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>the-session</SessionToken><Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    )
  })
  const write = (): void => writeFileSync(file, `token-for-${keys.id}`)
  write()
  const role = 'arn:aws:iam::123456789012:role/backup'
  const daemon = await place.start({
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ROLE_ARN: role,
    AWS_ENDPOINT_URL_STS: sts,
  })
  await survives(place, daemon, () => {
    keys.rotate()
    write()
  })
  const expected = [1, 2, 3].map((number) => ({
    Action: 'AssumeRoleWithWebIdentity',
    RoleArn: role,
    WebIdentityToken: `token-for-KEY${number}`,
  }))
  expect(seen).toEqual(expected)
}, 60_000)

test('keys of the environment: nobody else is asked, one line says what to do, and they count again when the store says so', async () => {
  const place = await scene()
  const { app, keys, directory, target } = place
  const { asked, env } = await container(place, () => 3_600_000)
  // A profile that does not exist would be an error of the chain.
  const daemon = await place.start({
    ...env,
    AWS_PROFILE: 'nobody',
    AWS_ACCESS_KEY_ID: 'KEY1',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'the-session',
  })
  app.write('with the first keys')
  await untilReplicated(app, target, directory)
  keys.rotate()
  app.write('with keys that are over')
  expect(await daemon.waitForLine(/msg="monitor error"/)).toContain(
    'the session token has expired; get new credentials',
  )
  await until(() => keys.refusals >= 2, { what: 'another try' })
  keys.number = 1
  await untilReplicated(app, target, directory)
  const end = await daemon.stop()
  expectGoodEnd(end)
  expect(linesWith(end.stdout, 'level=ERROR')).toHaveLength(1)
  expect(linesWith(end.stdout, 'replica works again', 'ExpiredToken')).toHaveLength(1)
  expect(asked).toEqual([])
  expect(await restoredRows(target, directory)).toEqual(app.rows)
}, 60_000)
