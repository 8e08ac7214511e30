// What Kamal does with an accessory on a host, with plain Docker: the same words in the same order, as its sources say (boot, exec,
// files, env, options). Configuration and lines come from docs/kamal.md; only the names of a machine are replaced: registry, service,
// volume, network, endpoint, home directory. MinIO runs in the same network.

import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'
import { parse } from 'yaml'
import { projectRoot } from '../make-dist.js'
import { printed } from '../printed.js'
import { type Finished, mustRun, run } from '../process.js'
import { tempDirectory } from '../temp.js'
import { until } from '../until.js'
import { APPLICATION_IMAGE, Container, OUR_IMAGE, runContainer } from './docker.js'

interface Accessory {
  readonly image: string
  readonly cmd: string
  readonly volumes: readonly string[]
  readonly files: readonly string[]
  readonly env: { readonly clear?: Readonly<Record<string, string>>; readonly secret: readonly string[] }
  readonly options: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

export const ACCESS_KEY = 'test-access-key'
/** With what secrets of real providers contain. */
const SECRET_KEY = 'test+secret/key=with#signs'
const USER = '1000:1000'
export const kamalDocument = printed('kamal')

export class KamalHost {
  readonly service = `myapp-${randomBytes(3).toString('hex')}`
  readonly container = `${this.service}-litestream`
  readonly volume = `${this.service}-storage`
  readonly home = tempDirectory('kamal')
  private readonly network = `${this.service}-network`
  private readonly accessory: Accessory
  private readonly started: string[] = []
  private applications: Container[] = []

  private constructor() {
    this.accessory = (
      parse(this.localized(kamalDocument.block('## Set up'))) as { accessories: { litestream: Accessory } }
    ).accessories.litestream
  }

  /** A host with Docker, the network that Kamal makes, and MinIO with the bucket. All of it goes after the test. */
  static async create(context: TestContext): Promise<KamalHost> {
    const host = new KamalHost()
    onTestFinished(async () => {
      if (context.task.result?.state === 'fail') console.error((await host.logs()).slice(-8000))
      for (const name of [...host.started, host.container, ...host.applications.map(({ id }) => id)])
        await run('docker', ['rm', '--force', '--volumes', name])
      await run('docker', ['volume', 'rm', '--force', host.volume])
      await run('docker', ['network', 'rm', host.network])
    })
    await mustRun('docker', ['network', 'create', host.network])
    const minio = `${host.service}-minio`
    host.started.push(minio)
    const keys = ['--env', `MINIO_ROOT_USER=${ACCESS_KEY}`, '--env', `MINIO_ROOT_PASSWORD=${SECRET_KEY}`]
    const place = ['--name', minio, '--network', host.network, '--network-alias', 'minio']
    await Container.start([...place, ...keys], 'minio/minio:latest', ['server', '/data'])
    await host.createBucket()
    host.writeSecrets()
    return host
  }

  /** Names of the document's host, made those of the test. The health check runs more often, so that the test need not wait. */
  localized(text: string): string {
    return text
      .replaceAll('registry.example.com/litestream-node', OUR_IMAGE)
      .replaceAll('--network kamal', `--network ${this.network}`)
      .replaceAll('myapp_storage', this.volume)
      .replaceAll(/\bmyapp(?=-litestream|\/env)/g, this.service)
      .replaceAll('https://fsn1.your-objectstorage.com', 'http://minio:9000')
      .replaceAll('health-interval: 30s', 'health-interval: 1s')
  }

  /** One line of the document. */
  async line(text: string): Promise<Finished> {
    const line = this.localized(text)
    const words = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? []
    if (words[0] === 'kamal') return this.kamal(words.slice(1))
    const shorter = this.localized(kamalDocument.block('To shorten the'))
    return run('bash', ['-c', `${shorter}\n${line}`], { cwd: this.home, env: { HOME: this.home }, timeoutMs: 120_000 })
  }

  /** Every line of a block, each with success. */
  async block(text: string, change: (line: string) => string = (line) => line): Promise<string> {
    let output = ''
    for (const line of kamalDocument.block(text).trim().split('\n')) {
      const { code, stdout, stderr } = await this.line(change(line))
      output += stdout + stderr
      if (code !== 0) throw new Error(`${line} ended with ${code}:\n${stdout}${stderr}`)
    }
    return output
  }

  async logs(): Promise<string> {
    const { stdout, stderr } = await run('docker', ['logs', this.container])
    return stdout + stderr
  }

  async logged(pattern: RegExp): Promise<void> {
    const what = `${pattern} in the log of the accessory`
    await until(async () => pattern.test(await this.logs()), { intervalMs: 200, what })
  }

  async untilHealthy(): Promise<void> {
    const words = ['inspect', '--format', '{{.State.Health.Status}}', this.container]
    const status = async () => (await run('docker', words)).stdout.trim()
    await until(async () => (await status()) === 'healthy', { intervalMs: 200, timeoutMs: 60_000, what: 'healthy' })
  }

  /** A new version of the application: the old one goes on until `stopOldest`. */
  async deploy(...words: string[]): Promise<Container> {
    const application = await Container.start(this.applicationOptions(), APPLICATION_IMAGE, words)
    this.applications.push(application)
    return application
  }

  async stopOldest(): Promise<void> {
    const oldest = this.applications.shift()
    await oldest?.stop()
    await oldest?.remove()
  }

  ask(...words: string[]): Promise<string> {
    return runContainer(this.applicationOptions(), APPLICATION_IMAGE, words)
  }

  /** What is lost with a server: the accessory's container and the volume. */
  async loseVolume(): Promise<void> {
    await mustRun('docker', ['rm', '--force', this.container])
    for (const { id } of this.applications) await mustRun('docker', ['rm', '--force', id])
    this.applications = []
    await mustRun('docker', ['volume', 'rm', this.volume])
  }

  private applicationOptions(): string[] {
    return ['--user', USER, '--volume', `${this.volume}:/rails/storage`]
  }

  private async kamal(words: readonly string[]): Promise<Finished> {
    const [what, verb, ...rest] = words as [string, string, ...string[]]
    const run_ = (...args: string[]) => run('docker', args, { timeoutMs: 120_000 })
    if (what === 'app') {
      // `start` is the test's own: it says what the application does next.
      if (verb === 'stop') for (const { id } of this.applications) await mustRun('docker', ['container', 'stop', id])
      return run_('version')
    }
    const reuse = rest[0] === '--reuse'
    const command = rest.slice(reuse ? 2 : 1).flatMap((word) => word.split(' '))
    if (verb === 'boot')
      return run_('run', '--name', this.container, ...this.bootOptions(), ...this.common(), this.accessory.cmd)
    if (verb === 'exec' && reuse) return run_('exec', this.container, ...command)
    if (verb === 'exec') return run_('run', '--rm', ...this.common(), ...command)
    if (verb === 'logs') return run_('logs', '--tail', '100', '--timestamps', this.container)
    if (verb === 'details') return run_('ps', '--filter', `name=^${this.container}$`)
    if (verb === 'start' || verb === 'stop') return run_('container', verb, this.container)
    if (verb !== 'reboot') throw new Error(`kamal ${words.join(' ')}`)
    await mustRun('docker', ['container', 'stop', this.container])
    await mustRun('docker', ['container', 'rm', this.container])
    return this.kamal(['accessory', 'boot', 'litestream'])
  }

  private bootOptions(): string[] {
    const label = `service=${this.container}`
    return ['--detach', '--restart', 'unless-stopped', '--log-opt', 'max-size=10m', '--label', label]
  }

  /** What boot and exec have in common, with the image at the end. */
  private common(): string[] {
    const { image, volumes, files, env, options } = this.accessory
    const uploaded = files.map((file) => {
      const [local, remote] = file.split(':') as [string, string]
      return `${this.upload(local, remote)}:${remote}`
    })
    return [
      ...['--network', this.network, '--env', 'KAMAL_HOST=192.0.2.10'],
      ...Object.entries(env.clear ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      ...['--env-file', this.envFile()],
      ...[...volumes, ...uploaded].flatMap((volume) => ['--volume', volume]),
      ...Object.entries(options).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [value].flat().flatMap((one) => [`--${name}`, String(one)]),
      ),
      image,
    ]
  }

  private upload(local: string, remote: string): string {
    const path = join(this.home, this.container, remote)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, this.localized(kamalDocument.block(`\`${local}\``)), { mode: 0o755 })
    return path
  }

  private envFile(): string {
    return join(this.home, '.kamal/apps', this.service, 'env/accessories/litestream.env')
  }

  private writeSecrets(): void {
    const values: Record<string, string> = {
      LITESTREAM_ACCESS_KEY_ID: ACCESS_KEY,
      LITESTREAM_SECRET_ACCESS_KEY: SECRET_KEY,
    }
    mkdirSync(dirname(this.envFile()), { recursive: true })
    const lines = this.accessory.env.secret.map((name) => `${name}=${values[name]}\n`)
    writeFileSync(this.envFile(), lines.join(''), { mode: 0o600 })
  }

  private async createBucket(): Promise<void> {
    const keys = { LITESTREAM_ACCESS_KEY_ID: ACCESS_KEY, LITESTREAM_SECRET_ACCESS_KEY: SECRET_KEY }
    const env = { ...keys, NODE_PATH: '/opt/litestream/node_modules' }
    const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
    const setup = ['--volume', `${join(projectRoot, 'docker')}:/setup:ro`, '--entrypoint', 'node']
    const words = ['/setup/create-bucket.cjs', 'http://minio:9000', 'myapp-backups']
    await runContainer(['--network', this.network, ...options, ...setup], OUR_IMAGE, words)
  }
}
