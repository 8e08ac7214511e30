// The application of the interop tests, as a process of its own: it does with its database what application.ts asks for. It is
// an ordinary user of SQLite and knows nothing of replication.

import { writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { serve } from './observer/serve.js'

let database: Database.Database | undefined
let path = ''

function opened(): Database.Database {
  if (!database) throw new Error('the application has not opened its database')
  return database
}

/** `statements`, as one transaction, `times` times, with a pause of `everyMs` after each. */
async function repeat(order: { statements: string[]; times: number; everyMs: number }): Promise<void> {
  const prepared = order.statements.map((sql) => opened().prepare(sql))
  const transaction = opened().transaction(() => {
    for (const statement of prepared) statement.run()
  })
  for (let time = 0; time < order.times; time++) {
    transaction.immediate()
    await new Promise((resolve) => setTimeout(resolve, order.everyMs))
  }
}

serve({
  open(order: { path: string; pragmas: readonly string[] }) {
    path = order.path
    database = new Database(path, { timeout: 10_000 })
    for (const pragma of order.pragmas) database.pragma(pragma)
  },
  exec: (sql: string) => void opened().exec(sql),
  all: (sql: string) => opened().prepare(sql).all(),
  repeat,
  close() {
    opened().close()
    database = undefined
  },
  /** What a reader of the database sees, page for page. */
  serialize(target: string) {
    const reader = new Database(path, { readonly: true })
    writeFileSync(target, reader.serialize())
    reader.close()
  },
  /** Of any database, not only the own one. */
  integrity(file: string) {
    const reader = new Database(file, { readonly: true })
    const answers = reader.pragma('integrity_check') as { integrity_check: string }[]
    reader.close()
    return answers.map(({ integrity_check }) => integrity_check).join('; ')
  },
})
