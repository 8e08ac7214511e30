// The application of compose.yml: writes an order now and then, and says so. An ordinary user of SQLite.

const Database = require('better-sqlite3')

const database = new Database(process.argv[2])
database.exec('pragma journal_mode = wal')
database.exec('create table if not exists orders (id integer primary key, placed_at text, cents integer)')
const insert = database.prepare("insert into orders (placed_at, cents) values (datetime('now'), ?)")

const timer = setInterval(() => {
  const { lastInsertRowid } = insert.run(Math.floor(Math.random() * 10_000))
  if (Number(lastInsertRowid) % 10 === 0) console.log(`order ${lastInsertRowid} is committed`)
}, 200)

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    clearInterval(timer)
    database.close()
  })
}
