// Keeps every connection and statement of better-sqlite3 alive in test code. With Node 24.19 and later, better-sqlite3 12 aborts the
// process when one of them is collected as garbage while no JavaScript runs (see src/source/sqlite.ts for what the program does about
// it). Loaded into the test workers by vitest and into test applications by `--require`; never into the program under test.

const Database = require('better-sqlite3')

const kept = new Set()
const { prepare } = Database.prototype

// A connection is of no use without a call of one of these.
for (const name of ['exec', 'serialize', 'transaction', 'backup', 'close']) {
  const method = Database.prototype[name]
  Database.prototype[name] = function (...args) {
    kept.add(this)
    return method.apply(this, args)
  }
}

Database.prototype.prepare = function (...args) {
  const statement = prepare.apply(this, args)
  const { iterate } = statement
  statement.iterate = (...values) => {
    const iterator = iterate.apply(statement, values)
    kept.add(iterator)
    return iterator
  }
  kept.add(this).add(statement)
  return statement
}

// The original makes its statement out of reach of the above.
Database.prototype.pragma = function (source, options = {}) {
  const statement = this.prepare(`PRAGMA ${source}`)
  if (!statement.reader) {
    statement.run()
    return options.simple ? undefined : []
  }
  return options.simple ? statement.pluck().get() : statement.all()
}
