// `npm start`: shows the program's main job with no server and no arguments. A sample application writes to a database in a
// temporary directory; the real command replicates it to a directory beside it, and restores it while both still run, at a moment
// in the past, and after the end. Every copy must be a state that the application had committed, the last one the last one. Exits
// with 0 when all of that held, else with 1 and what was off.
//
// Owns the order of events and what is printed; demo-children.ts owns the processes. Waits for what is observed, not for a time.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LitestreamError, messageOf } from '../errors.js'
import type { State } from './demo-application.js'
import { Application, Child, readCopy, stopChildren } from './demo-children.js'

const NEXT = `Everything held. With a database of your own (in WAL mode, as most frameworks set it):

   node dist/cli/main.js replicate /path/to/app.db file:///path/to/replica
   node dist/cli/main.js restore -o /path/to/copy.db file:///path/to/replica

With S3-compatible storage, and for several databases: fill in litestream.example.yml, save it as litestream.yml, and

   node dist/cli/main.js replicate -config litestream.yml
   node dist/cli/main.js restore -config litestream.yml -o /path/to/copy.db /path/to/app.db`

const directory = makeDirectory()
const inside = (name: string): string => join(directory, name)
const database = inside('shop.db')
const replica = inside('replica')
const config = inside('litestream.yml')

const print = (text: string): void => void process.stdout.write(`${text}\n`)
const step = (number: number, text: string): void => print(`${number === 1 ? '' : '\n'}${number}. ${text}`)
const nameOf = (state: State): string => `transfer ${state.transfer}`

const interrupted = new Promise<never>((_, reject) => {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => reject(new LitestreamError('ABORTED', `stopped by ${name}`)))
  }
})

try {
  await Promise.race([demonstrate(), interrupted])
  rmSync(directory, { recursive: true })
} catch (error) {
  await stopChildren()
  process.stderr.write(`\nThe demonstration failed: ${messageOf(error)}\n\nIts files are kept in ${directory}\n`)
  process.exitCode = 1
}

async function demonstrate(): Promise<void> {
  step(1, 'A sample application writes to a database, about 80 transactions a second.')
  print(`   ${database}`)
  const application = new Application(database)
  await application.committed(10)

  step(2, 'litestream replicates it to a directory, and writes nothing beside the database.')
  writeFileSync(config, `dbs:\n- path: ${database}\n  replicas: [{path: ${replica}, sync-interval: 250ms}]\n`)
  const replicate = litestream('replicate', '-config', config)
  const snapshot = await logged(replicate, 'snapshot written')
  print(`   the first snapshot is stored: ${snapshot.replace(/^.* (?=position=)/, '')}`)
  await logged(replicate, 'wal segment written')
  await application.moreTransfers(100)

  step(3, 'It is restored while the application writes and replication goes on.')
  const now = await restore(application, 'now.db')
  print(`   the copy holds ${nameOf(now)} and is exactly what was committed with it`)

  const moment = new Date()
  await application.moreTransfers(100)

  step(4, 'It is restored as it was at a moment in the past.')
  const past = await restore(application, 'past.db', '-timestamp', moment.toISOString())
  check(past.transfer >= now.transfer, `${nameOf(past)} is older than ${nameOf(now)}, which the replica had by then`)
  check(past.beganAtMs <= moment.getTime(), `${nameOf(past)} was not there yet at ${moment.toISOString()}`)
  print(`   the copy holds ${nameOf(past)}; meanwhile the application is at ${application.newest().transfer}`)

  step(5, 'The application ends; then litestream, which ships what is left before it does.')
  const last = await application.stop()
  print(`   the application committed ${nameOf(last)} last`)
  await replicate.stop()
  await replicate.mustEndWell()

  step(6, 'What is restored then is the last state: nothing is lost.')
  const final = await restore(application, 'final.db')
  check(final.transfer === last.transfer, `the copy holds ${nameOf(final)}, not ${nameOf(last)}`)
  print(`   the copy holds all ${final.transfer} transfers, and every balance is right`)
  print(`\n${NEXT}`)
}

/** Exits where there is no place to work in. */
function makeDirectory(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'litestream-demo-'))
  } catch (error) {
    process.stderr.write(
      `The demonstration needs a temporary directory: ${messageOf(error)}; name another one in TMPDIR\n`,
    )
    process.exit(1)
  }
}

function litestream(...words: string[]): Child {
  print(`   $ litestream ${words.join(' ')}`)
  return new Child('main.js', words)
}

function logged(replicate: Child, message: string): Promise<string> {
  return replicate.line((line) => line.includes(`msg="${message}"`), `"${message}"`)
}

/** Restore to `name`; the state that the copy holds, after the proof that it is one that the application committed. */
async function restore(application: Application, name: string, ...flags: string[]): Promise<State> {
  const command = litestream('restore', '-config', config, ...flags, '-o', inside(name), database)
  await command.mustEndWell()
  const copy = await readCopy(inside(name))
  const committed = await application.committed(copy.transfer)
  check(copy.digest === committed.digest, `${inside(name)} is not what was committed with ${nameOf(copy)}`)
  return committed
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw new LitestreamError('CORRUPT', problem)
}
