// What listing, planning a restore and a retention check cost when a replica holds very many objects: 520,000 are 30 days at one
// segment in 5 s. In a directory, or on the store.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ReplicaTarget } from '../src/replica/open.js'
import { projectRoot } from '../test/support/make-dist.js'
import { startChild } from '../test/support/observer/child.js'
import { childProgram } from '../test/support/observer/child-program.js'
import { defineBench } from './bench.js'
import { removeBucket } from './bucket.js'
import { CONTENDERS, type Contender, runCommand, writeConfig } from './contenders.js'
import { usageOf } from './process-usage.js'
import { fillBucket, fillDirectory, GENERATION, OBJECTS_PER_DAY } from './replica-of-many.js'
import type { Run } from './result.js'
import { names, numbers } from './settings.js'
import type { Stage } from './stage.js'

const DAY_MS = 86_400_000

interface Filled {
  readonly configPath: string
  readonly databasePath: string
  readonly target: ReplicaTarget
  remove(): Promise<void>
}

async function fill(stage: Stage, store: string, objects: number): Promise<Filled> {
  const directory = mkdtempSync(join(stage.directory, 'objects-'))
  const [configPath, databasePath] = [join(directory, 'litestream.yml'), join(directory, 'app.db')]
  writeFileSync(databasePath, '') // the original looks for it when it lists generations
  const place = { configPath, databasePath }
  const removeDirectory = () => rmSync(directory, { recursive: true, force: true })
  if (store === 'file') {
    const root = join(directory, 'replica')
    await fillDirectory(root, objects)
    writeFileSync(configPath, `dbs:\n  - path: ${databasePath}\n    replicas:\n      - path: ${root}\n`)
    return { ...place, target: { type: 'file', path: root }, remove: async () => removeDirectory() }
  }
  const { minio } = stage
  const bucket = await minio.createBucket('bench')
  await fillBucket(minio, bucket, 'app', objects)
  writeConfig(configPath, minio, [{ databasePath, bucket, path: 'app' }], 1000)
  const { endpoint, accessKeyId, secretAccessKey } = minio
  const s3 = { bucket, path: 'app', endpoint, region: 'us-east-1', forcePathStyle: true }
  return {
    ...place,
    target: { type: 's3', ...s3, accessKeyId, secretAccessKey },
    async remove() {
      removeDirectory()
      await removeBucket(minio, bucket)
    },
  }
}

async function retentionCheck(target: ReplicaTarget, objects: number) {
  const program = fileURLToPath(new URL('./retention-program.ts', import.meta.url))
  const child = startChild(await childProgram(relative(join(projectRoot, 'test'), program)))
  try {
    // So long that nothing is due: the listing and the decision are measured, no deletions.
    const retentionMs = (2 + Math.ceil(objects / OBJECTS_PER_DAY)) * DAY_MS
    const retentionSeconds = await child.call<number>('check', { target, generation: GENERATION, retentionMs })
    return { retentionSeconds, retentionMemoryBytes: usageOf(child.pid).peakMemoryBytes }
  } finally {
    await child.kill()
  }
}

async function measureObjects(contender: Contender, filled: Filled, objects: number) {
  const { configPath, databasePath, target } = filled
  const command = async (name: string, ...flags: string[]) => {
    const ran = await runCommand(contender, [name, '-config', configPath, ...flags, databasePath])
    if (ran.code !== 0) throw new Error(`${contender} ${name} ended with ${ran.code}:\n${ran.output.slice(-2000)}`)
    return ran
  }
  const listed = await command('wal')
  const lines = listed.output.trimEnd().split('\n').length - 1
  const segments = objects - Math.ceil(objects / OBJECTS_PER_DAY)
  if (lines !== segments) throw new Error(`${contender} lists ${lines} segments of ${segments}`)
  const generations = await command('generations')
  const figures: Record<string, number> = {
    walSeconds: listed.milliseconds / 1000,
    walMemoryBytes: listed.peakMemoryBytes,
    generationsSeconds: generations.milliseconds / 1000,
    generationsMemoryBytes: generations.peakMemoryBytes,
  }
  // The original plans nothing without restoring it.
  if (contender !== 'ours') return figures
  const output = `${databasePath}-restored`
  const newest = await command('restore', '-dry-run', '-o', output)
  const middle = new Date(Date.now() - (objects / OBJECTS_PER_DAY / 2) * DAY_MS).toISOString()
  const past =
    target.type === 'file' ? await command('restore', '-dry-run', '-o', output, '-timestamp', middle) : undefined
  return {
    ...figures,
    planSeconds: newest.milliseconds / 1000,
    planMemoryBytes: newest.peakMemoryBytes,
    // On the store all objects are as old as this run, and a moment in between means nothing.
    ...(past ? { pastPlanSeconds: past.milliseconds / 1000 } : {}),
    ...(await retentionCheck(target, objects)),
  }
}

export const growthObjectsBench = defineBench({
  name: 'growth-objects',
  title: 'growth: objects in a replica, one segment in 5 s, a snapshot a day (520,000: 30 days)',
  layout: 'cases',
  rows: [
    { figure: 'walSeconds', label: '`wal`', unit: 's' },
    { figure: 'walMemoryBytes', label: 'memory', unit: 'bytes' },
    { figure: 'generationsSeconds', label: '`generations`', unit: 's' },
    { figure: 'generationsMemoryBytes', label: 'memory', unit: 'bytes' },
    { figure: 'planSeconds', label: 'plan of a restore', unit: 's' },
    { figure: 'planMemoryBytes', label: 'memory', unit: 'bytes' },
    { figure: 'pastPlanSeconds', label: 'of a moment in the middle', unit: 's' },
    { figure: 'retentionSeconds', label: 'retention check', unit: 's' },
    { figure: 'retentionMemoryBytes', label: 'memory', unit: 'bytes' },
  ],
  flags: {
    contenders: names(['litestream-0.3.13', 'ours'], CONTENDERS, 'who is measured'),
    objects: numbers([17_280, 120_960, 520_000], 'how many'),
    stores: names(['file'], ['file', 's3'], 'where'),
  },

  estimateSeconds: ({ contenders, objects, stores }) =>
    10 +
    objects.reduce((sum, count) => {
      const filling = stores.reduce((seconds, store) => seconds + count / (store === 's3' ? 800 : 10_000), 0)
      return sum + filling + stores.length * contenders.length * (3 + count / 8_000)
    }, 0),

  async run(stage, { contenders, objects, stores }) {
    const runs: Run[] = []
    const there = stage.contenders.filter(
      (name) => ['litestream-0.3.13', 'ours'].includes(name) && contenders.includes(name),
    )
    for (const store of stores) {
      for (const count of objects) {
        const filled = await fill(stage, store, count)
        stage.say(`growth-objects ${count} ${store}: filled`)
        try {
          for (const contender of there) {
            const figures = await measureObjects(contender, filled, count)
            stage.say(`growth-objects ${count} ${store} ${contender}: wal ${figures.walSeconds?.toFixed(2)} s`)
            runs.push({ contender, repetition: 0, of: `${count} objects${store === 's3' ? ' on S3' : ''}`, figures })
          }
        } finally {
          await filled.remove()
        }
      }
    }
    return { runs }
  },
})
