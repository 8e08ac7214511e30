// Committed states as text, line by line: computed from the seed (Model), and read from a database file (readState). Equal lines
// mean an equal state; the first line that differs says what is wrong.

import { createHash } from 'node:crypto'
import Database from 'better-sqlite3'
import {
  ballastOf,
  HISTORY_LENGTH,
  hasIndex,
  nextChain,
  type Operation,
  operationsOf,
  shortHash,
  type Workload,
} from './workload.js'

/** State -1 is a database in which nothing has been committed yet. */
export const EMPTY = -1

export interface State {
  readonly n: number
  readonly lines: readonly string[]
}

export class Model {
  n = EMPTY
  private chain = ''
  private readonly history = new Map<number, string>()
  private readonly items = new Map<number, { tag: number; hash: string; length: number }>()
  private readonly pairs = new Map<string, string>()
  private readonly ballast: string

  constructor(private readonly workload: Workload) {
    const hash = createHash('sha1')
    let rows = 0
    for (const { body } of ballastOf(workload)) {
      hash.update(body)
      rows++
    }
    this.ballast = `ballast ${rows} ${hash.digest('hex')}`
  }

  /** States only follow each other; `n` is at least the current one. */
  stateAt(n: number): State {
    if (n < this.n) throw new Error(`the model stands at state ${this.n} already, and ${n} is older`)
    while (this.n < n) this.commit(this.n + 1)
    return { n, lines: this.lines() }
  }

  private commit(n: number): void {
    this.n = n
    if (n === 0) return
    const operations = operationsOf(this.workload, n)
    for (const operation of operations) this.apply(operation)
    this.chain = nextChain(this.chain, n, operations)
    this.history.set(n, this.chain)
    this.history.delete(n - HISTORY_LENGTH)
  }

  private apply(operation: Operation): void {
    switch (operation.kind) {
      case 'put': {
        const { id, tag, body } = operation
        this.items.set(id, { tag, hash: shortHash(body), length: body.length })
        break
      }
      case 'remove':
        this.items.delete(operation.id)
        break
      case 'bump':
        for (const [id, item] of this.items) if (id >= operation.from && id < operation.until) item.tag++
        break
      case 'pair':
        this.pairs.set(operation.name, operation.value)
        break
      case 'unpair':
        this.pairs.delete(operation.name)
    }
  }

  private lines(): string[] {
    if (this.n === EMPTY) return []
    return [
      `counter ${this.n}`,
      `index ${hasIndex(this.n)}`,
      this.ballast,
      ...[...this.history].map(([n, chain]) => `history ${n} ${chain}`),
      ...[...this.items].sort(([a], [b]) => a - b).map(([id, item]) => itemLine(id, item)),
      ...[...this.pairs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `pair ${name} ${value}`),
    ]
  }
}

function itemLine(id: number, { tag, hash, length }: { tag: number; hash: string; length: number }): string {
  return `item ${id} ${tag} ${length} ${hash}`
}

/** Throws with SQLite's findings when the file is not a sound database. Not read-only: a reader would leave `-wal` and `-shm` there. */
export function readState(path: string): State {
  const database = new Database(path, { fileMustExist: true })
  try {
    const check = database.pragma('integrity_check') as { integrity_check: string }[]
    if (check.length !== 1 || check[0]?.integrity_check !== 'ok') {
      throw new Error(`integrity_check of ${path}: ${check.map((row) => row.integrity_check).join('; ')}`)
    }
    const all = <Row>(sql: string): Row[] => database.prepare(sql).all() as Row[]
    const names = all<{ name: string }>('SELECT name FROM sqlite_schema').map(({ name }) => name)
    if (names.length === 0) return { n: EMPTY, lines: [] }
    const n = (database.prepare('SELECT n FROM counter').get() as { n: number }).n
    const hash = createHash('sha1')
    const ballast = database.prepare('SELECT body FROM ballast ORDER BY id').iterate() as Iterable<{ body: Buffer }>
    let rows = 0
    for (const { body } of ballast) {
      hash.update(body)
      rows++
    }
    const lines = [
      `counter ${n}`,
      `index ${names.includes('items_by_tag')}`,
      `ballast ${rows} ${hash.digest('hex')}`,
      ...all<{ n: number; chain: string }>('SELECT n, chain FROM history ORDER BY n').map(
        (row) => `history ${row.n} ${row.chain}`,
      ),
      ...all<{ id: number; tag: number; body: Buffer }>('SELECT id, tag, body FROM items ORDER BY id').map((row) =>
        itemLine(row.id, { tag: row.tag, hash: shortHash(row.body), length: row.body.length }),
      ),
      ...all<{ name: string; value: string }>('SELECT name, value FROM pairs ORDER BY name').map(
        (row) => `pair ${row.name} ${row.value}`,
      ),
    ]
    return { n, lines }
  } finally {
    database.close()
  }
}

/** Undefined for equal states, else the first difference. */
export function differenceOf(found: State, expected: State): string | undefined {
  const length = Math.max(found.lines.length, expected.lines.length)
  for (let i = 0; i < length; i++) {
    const [is, wanted] = [found.lines[i], expected.lines[i]]
    if (is !== wanted)
      return `state ${found.n}: found "${is ?? 'nothing more'}" where "${wanted ?? 'nothing more'}" belongs`
  }
  return undefined
}
