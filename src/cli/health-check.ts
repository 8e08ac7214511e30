// The faults of a configuration, as seen from a command: the databases' files, and what the daemon that serves it says. No daemon
// here means that only the files can be checked; one that does not answer is a fault.

import type { Config } from '../config/types.js'
import { askDaemon } from '../control/client.js'
import type { DaemonReport, DatabaseReport } from '../replicate/report.js'
import { unreadable } from '../source/readable.js'

export interface Fault {
  readonly message: string
  readonly db?: string | undefined
  readonly replica?: string | undefined
  readonly state?: string | undefined
  readonly error: string
}

export async function findFaults(config: Config): Promise<Fault[]> {
  const asking = askDaemon<DaemonReport>(config, { request: 'report', probe: true })
  const faults: Fault[] = []
  const broken = new Set<string>()
  for (const { path } of config.databases) {
    const error = unreadable(path)
    if (error === undefined) continue
    broken.add(path)
    faults.push({ message: 'cannot read database', db: path, error })
  }
  const answer = await asking
  if (answer.kind === 'none') return faults
  if (answer.kind === 'silent') return [...faults, { message: 'cannot ask the daemon', error: answer.reason }]
  for (const { path, replicas } of config.databases) {
    const report = answer.value.databases.find((database) => database.path === path)
    if (report) faults.push(...faultsOf(report, broken.has(path)))
    else if (replicas.length > 0) {
      faults.push({
        message: 'database is not replicated',
        db: path,
        error: 'the running daemon does not know it; restart it',
      })
    }
  }
  return faults
}

/** One line for each cause: what follows from an unusable database is not told again for its replicas. */
function* faultsOf({ path: db, healthy, state, reason, replicas }: DatabaseReport, told: boolean): Generator<Fault> {
  if (!healthy && !told) yield { message: 'database is not observed', db, state, error: reason }
  const follows = !healthy || told
  for (const replica of replicas) {
    if (replica.healthy || (follows && ['waiting', 'starting'].includes(replica.state))) continue
    const { name, state: word, reason: error } = replica
    yield { message: 'replica is not up to date', db, replica: name, state: word, error }
  }
}
