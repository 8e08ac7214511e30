// What all cases of one run share: a directory, a store of its own, the application as a program, and databases to begin with.
// Everything that takes time of its own (compiling, fetching, filling databases) happens before the first measurement.

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectRoot } from '../test/support/make-dist.js'
import { type MinioServer, privateMinio } from '../test/support/minio.js'
import { startChild } from '../test/support/observer/child.js'
import { childProgram } from '../test/support/observer/child-program.js'
import { availableContenders, type Contender } from './contenders.js'
import { storePlace } from './store-place.js'

export interface Stage {
  readonly directory: string
  readonly minio: MinioServer
  /** Path of the application, as a program for node. */
  readonly application: string
  /** Those that can be had here, in the order of the columns. */
  readonly contenders: readonly Contender[]
  /** A database of this size at `path`, which nobody has open; made once, then copied. */
  copyTemplate(bytes: number, path: string): Promise<void>
  /** The only one of its size, at `path`: nothing is kept of it. */
  fill(bytes: number, path: string): Promise<void>
  readonly say: (text: string) => void
  close(): Promise<void>
}

/** Of every database that is filled; loads have seeds of their own. */
const FILL_SEED = 1

/** With a store of its own, unless one is lent, which nobody else may use meanwhile: its counters are read. */
export async function openStage(say: (text: string) => void, lent?: MinioServer): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'litestream-bench-'))
  const program = fileURLToPath(new URL('./application-program.ts', import.meta.url))
  const application = await childProgram(relative(join(projectRoot, 'test'), program))
  const contenders = await availableContenders()
  const own = lent ? undefined : await privateMinio(storePlace().directory)
  const minio = lent ?? own!
  const templates = new Map<number, string>()

  const fill = async (bytes: number, path: string): Promise<void> => {
    const filler = startChild(application)
    await filler.call('open', path)
    await filler.call('fill', { bytes, seed: FILL_SEED })
    await filler.call('close')
    await filler.kill()
  }
  return {
    directory,
    minio,
    application,
    contenders,
    fill,
    async copyTemplate(bytes, path) {
      let template = templates.get(bytes)
      if (template === undefined) {
        template = join(directory, `template-${bytes}.db`)
        await fill(bytes, template)
        templates.set(bytes, template)
      }
      cpSync(template, path)
    },
    say,
    async close() {
      await own?.remove()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
