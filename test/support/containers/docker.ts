// Containers and volumes through the `docker` command, with the words that a person would type; and the two images of the container
// tests, built from the working tree.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { projectRoot } from '../make-dist.js'
import { mustRun, run } from '../process.js'
import { resource } from '../resources.js'
import { until } from '../until.js'

export const OUR_IMAGE = 'litestream-node:test'
export const APPLICATION_IMAGE = 'litestream-node:test-application'

/** Compiles SQLite on a machine without a cache of it. */
const BUILD_TIMEOUT_MS = 20 * 60_000

/** For `beforeAll`: the images, once per test run, where there is an engine. */
export async function prepareImages(): Promise<void> {
  if ((await resource('docker')) === '') await resource('images')
}

export async function buildImages(): Promise<void> {
  const options = { cwd: projectRoot, timeoutMs: BUILD_TIMEOUT_MS }
  await mustRun('docker', ['build', '--network', 'host', '--tag', OUR_IMAGE, '.'], options)
  const context = join('test', 'support')
  const file = join(context, 'containers', 'Dockerfile')
  const words = ['--build-arg', `IMAGE=${OUR_IMAGE}`, '--tag', APPLICATION_IMAGE, '--file', file, context]
  await mustRun('docker', ['build', ...words], options)
}

/** Run a container to its end; what it printed on stdout. */
export async function runContainer(
  options: readonly string[],
  image: string,
  words: readonly string[],
): Promise<string> {
  return (await mustRun('docker', ['run', '--rm', ...options, image, ...words])).stdout
}

export class Volume {
  private constructor(readonly name: string) {}

  /** A named volume whose root belongs to `owner` (uid:gid). */
  static async create(label: string, owner = '0:0'): Promise<Volume> {
    const volume = new Volume(`litestream-test-${label}-${randomBytes(4).toString('hex')}`)
    await mustRun('docker', ['volume', 'create', volume.name])
    const chown = ['--volume', `${volume.name}:/volume`, '--entrypoint', 'chown']
    await runContainer(chown, OUR_IMAGE, [owner, '/volume'])
    return volume
  }

  async remove(): Promise<void> {
    await run('docker', ['volume', 'rm', '--force', this.name])
  }
}

export class Container {
  private constructor(readonly id: string) {}

  /** `docker run --detach`. The container stays after its end until it is removed. */
  static async start(options: readonly string[], image: string, words: readonly string[]): Promise<Container> {
    const { stdout } = await mustRun('docker', ['run', '--detach', ...options, image, ...words])
    return new Container(stdout.trim())
  }

  /** Both outputs so far. */
  async logs(): Promise<string> {
    const { stdout, stderr } = await run('docker', ['logs', this.id])
    return stdout + stderr
  }

  /** The first line that matches, printed or to be printed while the container runs. */
  async line(pattern: RegExp): Promise<string> {
    let logs = ''
    const look = async (): Promise<{ line: string | undefined } | undefined> => {
      const running = await this.isRunning()
      logs = await this.logs()
      const line = logs.split('\n').find((text) => pattern.test(text))
      return line === undefined && running ? undefined : { line }
    }
    const found = await until(look, { intervalMs: 100, what: String(pattern) }).catch((cause: unknown) => {
      throw new Error(`waited in vain for ${pattern} in:\n${logs}`, { cause })
    })
    if (found.line === undefined) throw new Error(`the container ended without printing ${pattern}:\n${logs}`)
    return found.line
  }

  async isRunning(): Promise<boolean> {
    const { stdout } = await run('docker', ['inspect', '--format', '{{.State.Running}}', this.id])
    return stdout.trim() === 'true'
  }

  /** `docker stop` with its ordinary patience of 10 s; the exit status, which is 137 when that was not enough. */
  async stop(): Promise<number> {
    await mustRun('docker', ['stop', this.id])
    return Number((await mustRun('docker', ['inspect', '--format', '{{.State.ExitCode}}', this.id])).stdout)
  }

  async exec(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return run('docker', ['exec', this.id, ...words])
  }

  /** Also while it runs: SIGKILL. */
  async remove(): Promise<void> {
    await run('docker', ['rm', '--force', '--volumes', this.id])
  }
}
