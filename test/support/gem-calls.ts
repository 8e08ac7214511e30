// How the litestream gem 0.14 finds, calls and reads the executable, told again from the outside (it is Ruby; test/gem/run has the
// real one). The executable is the file `litestream` in LITESTREAM_INSTALL_DIR. A list is run by a shell, with the words joined by
// spaces and nothing quoted; of the result only stdout counts. A table is split into lines, and the lines at white space; the first one
// has the keys. One row whose `level` is ERROR is the only thing that it takes for a failure.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Finished, run } from './process.js'

export interface GemSurroundings {
  /** The application's root, the working directory. */
  readonly root: string
  readonly env: Readonly<Record<string, string>>
}

export type Row = Readonly<Record<string, string | undefined>>

export class GemCalls {
  /** What the last call printed and how it ended, which the gem does not look at. */
  last: Finished | undefined

  constructor(private readonly around: GemSurroundings) {}

  get executable(): string {
    const { root, env } = this.around
    const path = resolve(root, join(env.LITESTREAM_INSTALL_DIR ?? '', 'litestream'))
    if (!existsSync(path)) throw new Error(`Cannot find the litestream executable in ${path}`)
    return path
  }

  /** The words of a call: the configuration first, then what the caller adds, which may name another one. */
  words(command: string, extra: readonly string[] = [], database?: string): string[] {
    const config = ['--config', join(this.around.root, 'config', 'litestream.yml')]
    return [this.executable, command, ...config, ...extra, ...(database === undefined ? [] : [database])]
  }

  async table(command: string, extra: readonly string[] = [], database?: string): Promise<Row[]> {
    const rows = parseTable(await this.shell(this.words(command, extra, database)))
    if (rows.length === 1 && rows[0]?.level === 'ERROR') throw new Error(`Failed; Reason: ${rows[0].error}`)
    return rows
  }

  restore(database: string, extra: readonly string[] = []): Promise<string> {
    return this.shell(this.words('restore', extra, database))
  }

  private async shell(words: readonly string[]): Promise<string> {
    const { root, env } = this.around
    this.last = await run('/bin/sh', ['-c', words.join(' ')], { cwd: root, env })
    return this.last.stdout.replace(/\r?\n$/, '')
  }
}

/** Ruby's `split(/\s+/)` knows ASCII white space only, keeps an empty first field, and drops empty last ones. */
export function parseTable(stdout: string): Row[] {
  const [keys = [], ...rows] = stdout
    .split('\n')
    .filter((line, position, all) => line !== '' || position < all.length - 1)
    .map((line) => line.replace(/[ \t\r\f\v]+$/, '').split(/[ \t\r\f\v]+/))
  return rows.map((cells) => Object.fromEntries(keys.map((key, column) => [key, cells[column]])))
}
