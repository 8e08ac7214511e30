// docker/compose.yml tells the whole story on one machine. Docker's compose plugin is not everywhere, so the services are read from the
// file and started with `docker run`, as the plugin would: one network, the service's name as its host's name, named volumes. The
// commands are those of the file's first comment.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { Container, OUR_IMAGE, prepareImages } from '../support/containers/docker.js'
import { projectRoot } from '../support/make-dist.js'
import { mustRun, run } from '../support/process.js'
import { needDocker } from '../support/programs.js'

beforeAll(prepareImages, 25 * 60_000)

interface Service {
  readonly image: string
  readonly build?: string
  readonly command?: string
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
  readonly depends_on?: readonly string[]
  readonly healthcheck?: { readonly test: string }
}

const directory = join(projectRoot, 'docker')
const text = readFileSync(join(directory, 'compose.yml'), 'utf8')
const file = parse(text, { merge: true }) as {
  services: Readonly<Record<string, Service>>
  volumes: Readonly<Record<string, unknown>>
}

test('every service names what exists', () => {
  for (const { volumes, depends_on = [], build } of Object.values(file.services)) {
    expect(build === undefined || resolve(directory, build) === projectRoot).toBe(true)
    expect(depends_on.filter((name) => !(name in file.services))).toEqual([])
    const sources = volumes.map((volume) => volume.split(':')[0] as string)
    expect(sources.filter((source) => !source.startsWith('.') && !(source in file.volumes))).toEqual([])
  }
})

test('the printed commands work: the application writes, the replica follows, a copy is restored', async (context) => {
  await needDocker(context)
  const project = `litestream-compose-${randomBytes(3).toString('hex')}`
  const containers = new Map<string, Container>()
  onTestFinished(async () => {
    for (const container of containers.values()) await container.remove()
    for (const name of Object.keys(file.volumes)) await run('docker', ['volume', 'rm', '--force', `${project}-${name}`])
    await run('docker', ['network', 'rm', project])
  })
  await mustRun('docker', ['network', 'create', project])
  for (const [name, service] of Object.entries(file.services)) {
    const [program, ...first] = service.entrypoint ?? []
    const options = [
      ...['--network', project, '--network-alias', name],
      ...(program === undefined ? [] : ['--entrypoint', program]),
      ...Object.entries(service.environment ?? {}).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...service.volumes.flatMap((volume) => ['--volume', volumeOf(volume, project)]),
    ]
    const words = [...first, ...(service.command?.split(' ') ?? [])]
    const image = service.build === undefined ? service.image : OUR_IMAGE
    containers.set(name, await Container.start(options, image, words))
  }
  const litestream = containers.get('litestream') as Container
  // It is started beside the bucket's creation, and tries until there is one.
  await litestream.line(/snapshot written/)
  await (containers.get('application') as Container).line(/order 20 is committed/)

  const prefix = 'docker compose -f docker/compose.yml exec litestream '
  const printed = text
    .split('\n')
    .flatMap((line) => (line.includes(prefix) ? [line.slice(line.indexOf(prefix) + prefix.length)] : []))
  expect(printed).toHaveLength(3)
  let last = ''
  for (const line of printed) {
    const { code, stdout, stderr } = await litestream.exec(...line.split(' '))
    expect(code, `${line}\n${stderr}`).toBe(0)
    last = stdout
  }
  expect(Number(/\bid: (\d+)/.exec(last)?.[1])).toBeGreaterThan(0)
  const health = await litestream.exec('sh', '-c', file.services.litestream?.healthcheck?.test as string)
  expect(health.code, health.stderr).toBe(0)
  expect(await litestream.stop()).toBe(0)
})

function volumeOf(volume: string, project: string): string {
  const [source, ...rest] = volume.split(':') as [string, ...string[]]
  return [source.startsWith('.') ? resolve(directory, source) : `${project}-${source}`, ...rest].join(':')
}
