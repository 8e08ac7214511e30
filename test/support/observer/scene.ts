// A database on a volume of its own, applications that write it and observers that follow it, and the comparison of the two.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import { tempDirectory } from '../temp.js'
import { until } from '../until.js'
import type { ApplicationOptions, LoadOptions, LoadReport } from './application-child.js'
import { type Child, type Mount, startChild } from './child.js'
import { childProgram } from './child-program.js'
import type { ObserverOptions, ObserverReport } from './observer-child.js'

export interface Scene {
  readonly directory: string
  /** The directory that is the volume. */
  readonly volume: string
  /** The database on it. */
  readonly path: string
  application(options?: Partial<ApplicationOptions>, env?: Readonly<Record<string, string>>): Promise<Application>
  /** `obedient`: permission bits hold for it, also when it is root. */
  observer(mount: Mount, options?: Partial<ObserverOptions>, obedient?: boolean): Promise<Observer>
  /** A child of another kind, killed at the end. */
  child(program: string, mount: Mount, env?: Readonly<Record<string, string>>): Promise<Child>
}

export interface Application {
  readonly child: Child
  load(options: LoadOptions): Promise<LoadReport>
  run(sql: string): Promise<void>
  pragma<Result>(sql: string): Promise<Result>
  get<Result>(sql: string): Promise<Result>
  /** The database as SQLite sees it. */
  contents(): Promise<Buffer>
  close(): Promise<void>
  kill(): Promise<void>
}

export interface Observer {
  readonly child: Child
  report(): Promise<ObserverReport>
  /** Until the report satisfies the condition. */
  until(what: string, condition: (report: ObserverReport) => boolean): Promise<ObserverReport>
  untilComplete(): Promise<ObserverReport>
  /** The mirror as it is now; undefined while there is no whole one. */
  contents(): Promise<Buffer | undefined>
  /** Take a new copy, and wait until it is complete. */
  copyAgain(): Promise<ObserverReport>
  /** The last look, and what the follower left behind. */
  stop(): Promise<{ report: ObserverReport; contents: Buffer | undefined }>
}

export function makeScene(): Scene {
  const directory = tempDirectory('observer')
  const volume = join(directory, 'volume')
  const spoolDirectory = join(directory, 'spool')
  const path = join(volume, 'app.db')
  mkdirSync(volume)
  mkdirSync(spoolDirectory)
  let files = 0
  const newFile = () => join(directory, `image-${++files}`)
  const child = async (program: string, mount: Mount, env?: Readonly<Record<string, string>>, obedient?: boolean) => {
    const readOnly = mount === 'read-only' ? volume : undefined
    const started = startChild(await childProgram(program), { readOnly, env, obedient })
    onTestFinished(() => started.kill())
    return started
  }

  return {
    directory,
    volume,
    path,
    child,
    async application(options, env) {
      const started = await child('support/observer/application-child.ts', 'writable', env)
      await started.call('open', { path, ...options })
      return {
        child: started,
        load: (load) => started.call('load', load),
        run: (sql) => started.call('run', sql),
        pragma: (sql) => started.call('pragma', sql),
        get: (sql) => started.call('get', sql),
        async contents() {
          const file = newFile()
          await started.call('save', file)
          return readFileSync(file)
        },
        close: () => started.call('close'),
        kill: () => started.kill(),
      }
    },
    async observer(mount, options, obedient) {
      const started = await child('support/observer/observer-child.ts', mount, undefined, obedient)
      await started.call('start', { path, spoolDirectory, ...options })
      const report = () => started.call<ObserverReport>('nowReport')
      const contents = async () => {
        const file = newFile()
        return (await started.call<boolean>('nowSave', file)) ? readFileSync(file) : undefined
      }
      const untilReport = async (what: string, condition: (report: ObserverReport) => boolean) => {
        let last: ObserverReport | undefined
        const met = async () => {
          last = await report()
          return condition(last) ? last : undefined
        }
        return await until(met, { what }).catch((cause: unknown) => {
          throw new Error(`${what}; the last report was ${JSON.stringify(last, undefined, 1)}`, { cause })
        })
      }
      return {
        child: started,
        report,
        until: untilReport,
        untilComplete: () => untilReport('the mirror to be complete', ({ complete }) => complete),
        contents,
        async copyAgain() {
          const { copies } = await report()
          await started.call('nowCopyAgain')
          return await untilReport('another copy', (now) => now.complete && now.copies > copies)
        },
        async stop() {
          await started.call('stop')
          return { report: await report(), contents: await contents() }
        },
      }
    },
  }
}

/** Numbers of the pages that differ, from 1; the sizes are compared first. Empty: exact. */
export function differingPages(source: Buffer, copy: Buffer | undefined): string[] {
  if (!copy) return ['there is no copy']
  const rawPageSize = source.readUInt16BE(16)
  const pageSize = rawPageSize === 1 ? 65536 : rawPageSize
  const pages: string[] = []
  if (source.length !== copy.length) pages.push(`${source.length} bytes became ${copy.length}`)
  for (let at = 0; at < Math.min(source.length, copy.length); at += pageSize) {
    const end = Math.min(at + pageSize, source.length, copy.length)
    if (source.compare(copy, at, end, at, end) !== 0) pages.push(`page ${at / pageSize + 1}`)
  }
  return pages.length > 20 ? [...pages.slice(0, 20), `and ${pages.length - 20} more`] : pages
}

/** Whether the bytes are the database at one commit of the patterns `rows` and `vacuum`; else what is wrong with them. */
export function isCommit(contents: Buffer): true | string {
  const bytes = Buffer.from(contents)
  // A database in memory cannot have a WAL.
  bytes.set([1, 1], 18)
  const database = new Database(bytes)
  try {
    const check = database.pragma('integrity_check', { simple: true })
    if (check !== 'ok') return String(check)
    const stamps =
      'select count(*) from (select 1 from t group by id / 10 having count(distinct stamp) > 1 or count(*) <> 10)'
    const mixed = database.prepare(stamps).pluck().get()
    if (mixed !== 0) return `${mixed} transactions are there in part`
    const commits = database.prepare('select commits from total').pluck().get()
    const newest = database.prepare('select coalesce(max(stamp), 0) from t').pluck().get()
    return commits === newest ? true : `the newest transaction is ${newest}, the count says ${commits}`
  } finally {
    database.close()
  }
}
