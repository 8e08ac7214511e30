// The only place that opens the live database with SQLite to follow it, always read-only. A pin is an open read
// transaction: on read mark 1-4 it forbids a restart of the WAL, on mark 0 it forbids writes to the database file. Two connections,
// so that a new pin can be taken before the old one is let go (leapfrog).
//
// Never opens anything that is not there: the caller checks `-wal` and `-shm` first (see files), because even a read-only open
// of a database in WAL mode would create them.

import { LitestreamError, messageOf } from '../errors.js'
import { SqliteConnection } from './sqlite.js'

/** What SQLite says while somebody else holds a lock for a moment, recovers, or (read-only mount) nobody has a wal-index yet. */
const TRANSIENT = /^SQLITE_(BUSY|PROTOCOL|LOCKED|READONLY_RECOVERY|READONLY_CANTINIT|READONLY_CANTLOCK)/

/** Reads page 1 and so begins the read transaction, without asking for the schema to be parsed. */
const BEGIN = 'BEGIN; PRAGMA schema_version'
/** Nothing of it will be read again, and the room for pages that SQLite sets aside for each connection is 80 KB. */
const END = 'ROLLBACK; PRAGMA shrink_memory'

/** What a live database knows of its pins. */
export type HeldPins = Pick<Pins, keyof Pins>

export class Pins {
  private readonly connections: SqliteConnection[] = []
  private current = 0
  private held = false
  /** The last transient refusal, for messages. */
  lastRefusal = ''

  constructor(private readonly path: string) {}

  get pinned(): boolean {
    return this.held
  }

  /**
   * Take the pin if there is none. False: refused for the moment (see lastRefusal). Throws SOURCE when the file is not a database
   * that SQLite can read.
   */
  pin(): boolean {
    if (!this.held) this.held = this.begin(this.current)
    return this.held
  }

  /** Take a new pin and only then let the old one go. False, and the old pin stays, when refused for the moment. */
  leapfrog(): boolean {
    if (!this.held) return this.pin()
    const next = 1 - this.current
    if (!this.begin(next)) return false
    this.connections[this.current]?.exec(END)
    this.current = next
    return true
  }

  release(): void {
    if (!this.held) return
    this.held = false
    this.connections[this.current]?.exec(END)
  }

  /** Ends every transaction and closes the connections; all of SQLite's locks of ours are gone afterwards. */
  close(): void {
    this.held = false
    for (const connection of this.connections.splice(0)) connection.close()
    this.current = 0
  }

  private begin(at: number): boolean {
    try {
      while (this.connections.length <= at) {
        this.connections.push(new SqliteConnection(this.path, { readonly: true, timeoutMs: 0 }))
      }
      const connection = this.connections[at] as SqliteConnection
      try {
        connection.exec(BEGIN)
      } catch (error) {
        if (connection.inTransaction) connection.exec(END)
        throw error
      }
      return true
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? '')
      if (!TRANSIENT.test(code)) {
        throw new LitestreamError('SOURCE', `cannot read ${this.path}: ${messageOf(error)} (${code || 'no code'})`, {
          cause: error,
        })
      }
      this.lastRefusal = code
      return false
    }
  }
}
