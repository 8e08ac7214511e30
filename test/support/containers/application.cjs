// The application of the container tests, in a container of its own: an ordinary user of SQLite that checks itself.
//
//   write DB [COUNT [PACE]]   one transaction each PACE ms (20; 0: as fast as it goes) until there are COUNT (for ever without); then
//                      keeps the database open. SIGTERM closes it and ends.
//   rails DIRECTORY COUNT     as write with production.sqlite3 there, and keeps the databases of cache, queue and cable open
//   fill DB MEBIBYTES  so much in one transaction
//   checkpoint DB      PRAGMA wal_checkpoint(TRUNCATE)
//   state DB           the newest transaction and a digest of everything, after an integrity check
//   list DIRECTORY     what an observer must leave as it is: names, owners, modes and sizes
//   touch PATH         creates an empty file
//   watch DIRECTORY    prints every event of the directory and its files that inotify tells, until SIGTERM
//
// `write` prints `<transaction> <digest>` after every commit, so that every committed state can be recognised in a copy. Several may
// write at the same time, as during a redeployment.

const { createHash } = require('node:crypto')
const { readdirSync, statSync, watch, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const Database = require('better-sqlite3')

const PACE_MS = 20
const sha256 = (values) => createHash('sha256').update(JSON.stringify(values)).digest('hex')

function stateReader(database) {
  const newest = database.prepare('select id, chain from log order by id desc limit 1').raw()
  const accounts = database.prepare('select * from accounts order by id').raw()
  const schema = database.prepare('select type, name, tbl_name, sql from sqlite_master order by name').raw()
  return () => {
    const [id, chain] = newest.get() ?? [0, '']
    return { id, chain, digest: sha256([chain, accounts.all(), schema.all()]) }
  }
}

function open(path) {
  const database = new Database(path, { timeout: 10_000 })
  database.pragma('journal_mode = wal')
  database.exec(`begin immediate;
    create table if not exists log (id integer primary key, chain text, filler blob);
    create table if not exists accounts (id integer primary key, balance integer);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) insert or ignore into accounts select i, 0 from n;
    commit`)
  return database
}

const commands = {
  async write(path, count = 'Infinity', paceMs = PACE_MS) {
    const database = open(path)
    const stateOf = stateReader(database)
    const insert = database.prepare('insert into log values (?, ?, ?)')
    const update = database.prepare('update accounts set balance = balance + ? where id = ?')
    const commit = database.transaction(() => {
      const before = stateOf()
      if (before.id >= Number(count)) return undefined
      const id = before.id + 1
      insert.run(id, sha256([before.chain, id]), Buffer.alloc(500, id))
      update.run(id, 1 + (id % 50))
      return stateOf()
    })
    let stopping = false
    process.on('SIGTERM', () => {
      stopping = true
    })
    let written = false
    while (!stopping) {
      const state = written ? undefined : commit.immediate()
      if (state) console.log(`${state.id} ${state.digest}`)
      else if (!written) {
        written = true
        console.log('all written')
      }
      if (Number(paceMs) > 0 || written) await new Promise((resolve) => setTimeout(resolve, Number(paceMs) || PACE_MS))
      else await new Promise(setImmediate)
    }
    database.close()
  },
  async rails(directory, count) {
    const others = ['cache', 'queue', 'cable'].map((name) => open(join(directory, `production_${name}.sqlite3`)))
    await commands.write(join(directory, 'production.sqlite3'), count)
    for (const database of others) database.close()
  },
  fill(path, mebibytes) {
    const database = open(path)
    database.exec('create table if not exists filling (bytes blob)')
    const insert = database.prepare('insert into filling values (randomblob(1048576))')
    database.transaction(() => {
      for (let i = 0; i < Number(mebibytes); i++) insert.run()
    })()
    database.close()
  },
  checkpoint(path) {
    const database = new Database(path, { timeout: 10_000 })
    console.log(JSON.stringify(database.pragma('wal_checkpoint(TRUNCATE)')))
    database.close()
  },
  state(path) {
    const database = new Database(path, { fileMustExist: true })
    const answer = database.pragma('integrity_check', { simple: true })
    if (answer !== 'ok') throw new Error(answer)
    const { id, digest } = stateReader(database)()
    console.log(`${id} ${digest}`)
    database.close()
  },
  list(directory) {
    for (const name of ['.', ...readdirSync(directory).sort()]) {
      const { uid, gid, mode, size } = statSync(join(directory, name))
      console.log(`${name} ${uid}:${gid} ${mode.toString(8)} ${name === '.' ? '' : size}`.trimEnd())
    }
  },
  touch: (path) => writeFileSync(path, ''),
  watch(directory) {
    const watcher = watch(directory, (event, name) => console.log(`${event} ${name}`))
    process.on('SIGTERM', () => watcher.close())
    console.log('watching')
  },
}

const [command, ...words] = process.argv.slice(2)
void commands[command](...words)
