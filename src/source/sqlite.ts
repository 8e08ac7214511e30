// The only importer of better-sqlite3 in the program (the demonstration's application is one of its own). Connections are kept alive
// for the life of the process, also after they were closed: with Node 24.19 and later, better-sqlite3 12 aborts the process when a
// connection or statement of it is collected as garbage while no JavaScript runs. A closed one takes about a kilobyte, and they
// are few. Statements are not used at all where `exec` does; where rows are wanted they are kept too.
//
// One copy of SQLite per process: POSIX locks are the process's, and only one copy can keep account of them.

import Database from 'better-sqlite3'

const kept: unknown[] = []

export interface SqliteOptions {
  readonly readonly: boolean
  /** Milliseconds that SQLite itself waits for a lock. */
  readonly timeoutMs: number
}

export class SqliteConnection {
  private readonly database: Database.Database

  /** Opens a file that is there. Throws what SQLite says, with its code in `code`. */
  constructor(path: string, { readonly, timeoutMs }: SqliteOptions) {
    this.database = new Database(path, { readonly, fileMustExist: true, timeout: timeoutMs })
    kept.push(this.database)
  }

  get inTransaction(): boolean {
    return this.database.inTransaction
  }

  exec(sql: string): void {
    this.database.exec(sql)
  }

  /** For statements that are run once or twice in the life of a connection: each is kept. */
  rows<Row>(sql: string): Row[] {
    const statement = this.database.prepare(sql)
    kept.push(statement)
    return statement.all() as Row[]
  }

  close(): void {
    this.database.close()
  }
}
