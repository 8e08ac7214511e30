// Speaks to an application process (application-program.ts), which a test can let write, close, die and come back.

import { type Child, startChild } from './observer/child.js'
import { childProgram } from './observer/child-program.js'

export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE'

export class Application {
  private child: Child | undefined

  constructor(readonly databasePath: string) {}

  /** Opens the database, in a new process when there is none. */
  async open(pragmas: readonly string[] = []): Promise<void> {
    this.child ??= startChild(await childProgram('support/application-program.ts'))
    await this.child.call('open', { path: this.databasePath, pragmas })
  }

  /** Any number of statements, each a transaction of its own unless the text says otherwise. */
  async exec(sql: string): Promise<void> {
    await this.process.call('exec', sql)
  }

  async all<Row = Record<string, unknown>>(sql: string): Promise<Row[]> {
    return this.process.call('all', sql)
  }

  /** The statements as one transaction, `times` times, with a pause of `everyMs` after each. */
  async repeat(statements: readonly string[], times: number, everyMs: number): Promise<void> {
    await this.process.call('repeat', { statements, times, everyMs })
  }

  /** An error when it could not do its work within the application's busy timeout. */
  async checkpoint(mode: CheckpointMode): Promise<void> {
    const [row] = await this.all<{ busy: number }>(`PRAGMA wal_checkpoint(${mode})`)
    if (row?.busy !== 0) throw new Error(`wal_checkpoint(${mode}) was kept busy for longer than the busy timeout`)
  }

  /** Closes the database; the process stays. */
  async close(): Promise<void> {
    await this.process.call('close')
  }

  /** Writes what a read-only connection sees to the file `target`, while the application has the database open. */
  async serialize(target: string): Promise<void> {
    await this.process.call('serialize', target)
  }

  /** The answer of `PRAGMA integrity_check` for any database file: `ok`. */
  async integrity(file: string): Promise<string> {
    return this.process.call('integrity', file)
  }

  /** SIGKILL: nothing is closed, nothing is cleaned up. */
  async kill(): Promise<void> {
    await this.child?.kill('SIGKILL')
    this.child = undefined
  }

  private get process(): Child {
    if (!this.child) throw new Error('there is no application process; call open')
    return this.child
  }
}
