// The sample application of the demonstration: a shop that moves money between accounts. A program of its own, as any application
// is, and an ordinary user of SQLite that knows nothing of replication. Only `npm start` runs it; the rest of src/ never imports it,
// which is why it may use better-sqlite3 a second time.
//
//   node demo-application.js write DB   a new database; one transfer each 10 ms, until SIGTERM or the end of its standard input
//   node demo-application.js read DB    describes the state of any copy of that database
//
// Prints one JSON line (State) after every commit, with the digest of everything that it then holds: so every committed state can
// be recognised as such in a copy.

import { createHash } from 'node:crypto'
import Database from 'better-sqlite3'

export interface State {
  /** Number of the newest transfer. */
  readonly transfer: number
  /** When its transaction began, by this program's clock; 0 from `read`. */
  readonly beganAtMs: number
  /** Over all accounts, and the chain of all transfers. */
  readonly digest: string
}

/** See source/sqlite: what is not reachable any more could end this process under Node 24. */
const kept: unknown[] = []

const ACCOUNTS = 200
const PACE_MS = 10

const [command, path = ''] = process.argv.slice(2)
if (command === 'write') await write(path)
else if (command === 'read') read(path)
else throw new Error('usage: demo-application.js write|read DB')

async function write(path: string): Promise<void> {
  const database = new Database(path, { timeout: 5000 })
  kept.push(database)
  database.exec('pragma journal_mode = wal')
  database.exec(`
    create table accounts (id integer primary key, balance integer not null);
    create table transfers (id integer primary key, source integer, target integer, amount integer, chain text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${ACCOUNTS})
    insert into accounts select i, 1000 from n`)
  const move = database.prepare('update accounts set balance = balance + ? where id = ?')
  const record = database.prepare('insert into transfers values (?, ?, ?, ?, ?)')
  kept.push(move, record)
  const stateOf = stateReader(database)
  let transfer = 0
  let chain = ''

  const commit = database.transaction((id: number): void => {
    const [source, target, amount] = [1 + ((id * 7919) % ACCOUNTS), 1 + ((id * 104_729) % ACCOUNTS), 1 + (id % 50)]
    move.run(-amount, source)
    move.run(amount, target)
    const next = sha256([chain, id, source, target, amount])
    record.run(id, source, target, amount, next)
    chain = next
  })

  let stopping = false
  const stop = (): void => {
    stopping = true
  }
  process.on('SIGTERM', stop)
  // The demonstration is gone, for whatever reason: so are we.
  process.stdin.on('end', stop).on('error', stop).resume()
  process.stdout.on('error', stop)
  while (!stopping) {
    const beganAtMs = Date.now()
    commit.immediate(++transfer)
    print({ ...stateOf(), beganAtMs })
    await new Promise((resolve) => setTimeout(resolve, PACE_MS))
  }
  process.stdin.destroy()
  database.close()
}

function read(path: string): void {
  const database = new Database(path, { fileMustExist: true })
  const all = database.prepare('select id, source, target, amount, chain from transfers order by id')
  const check = database.prepare('pragma integrity_check').pluck()
  kept.push(database, all, check)
  const transfers = all.all() as {
    id: number
    source: number
    target: number
    amount: number
    chain: string
  }[]
  let chain = ''
  for (const [position, { id, source, target, amount, chain: stored }] of transfers.entries()) {
    chain = sha256([chain, id, source, target, amount])
    if (id !== position + 1 || stored !== chain)
      throw new Error(`${path}: transfer ${position + 1} is not what was written`)
  }
  const answer = check.get()
  if (answer !== 'ok') throw new Error(`${path}: ${answer}`)
  print({ ...stateReader(database)(), beganAtMs: 0 })
  database.close()
}

function stateReader(database: Database.Database): () => Omit<State, 'beganAtMs'> {
  const accounts = database.prepare('select id, balance from accounts order by id').raw()
  const newest = database.prepare('select id, chain from transfers order by id desc limit 1').raw()
  kept.push(accounts, newest)
  return () => {
    const [transfer, chain] = (newest.get() ?? [0, '']) as [number, string]
    return { transfer, digest: sha256([chain, ...accounts.all()]) }
  }
}

function sha256(values: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex')
}

function print(state: State): void {
  process.stdout.write(`${JSON.stringify(state)}\n`)
}
