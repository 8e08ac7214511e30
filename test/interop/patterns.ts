// The table: what applications do to their databases, each as a pattern that must survive replication by us and a restore by the
// real Litestream, byte for byte. How a pattern is run and judged: pattern-run.ts.

import { makeWalBigEndian, readWalChain } from './big-endian-wal.js'
import type { Pattern } from './pattern-run.js'

/** A table expression `n(i)` that counts from 1. */
const count = (rows: number): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`

const ITEMS = `
  CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, body BLOB);
  CREATE INDEX item_kind ON item (kind);`

/** Adds rows of `bytes` random bytes each. */
const insert = (rows: number, bytes: number): string =>
  `${count(rows)} INSERT INTO item (kind, body) SELECT abs(random()) % 50, randomblob(${bytes}) FROM n`

/** One transaction of everyday work. */
const everyday = (rows: number, bytes: number): string[] => [
  insert(rows, bytes),
  `UPDATE item SET kind = kind + 1, body = randomblob(${bytes}) WHERE id % 17 = abs(random()) % 17`,
  'DELETE FROM item WHERE id % 23 = abs(random()) % 23',
]

const pageSizes: Pattern[] = [512, 1024, 4096, 8192, 65536].map((pageSize) => ({
  name: `pages of ${pageSize} bytes`,
  create: [`page_size = ${pageSize}`],
  pragmas: ['wal_autocheckpoint = 200'],
  schema: ITEMS,
  generations: 'told',
  run: ({ app }) => app.repeat(everyday(6, 400), 120, 6),
}))

const encodings: Pattern[] = ['UTF-16le', 'UTF-16be'].map((encoding) => ({
  name: encoding,
  create: [`encoding = '${encoding}'`],
  schema:
    'CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT COLLATE NOCASE); CREATE INDEX word_text ON word (text);',
  async run(world) {
    const words = `${count(300)} INSERT INTO word (text) SELECT 'Žluťoučký kůň 🐎 ' || hex(randomblob(20)) || i FROM n`
    await world.step(() => world.app.exec(words))
    await world.step(() => world.app.exec("UPDATE word SET text = text || '日本語' WHERE id % 3 = 0"))
    await world.step(() => world.app.exec(`DELETE FROM word WHERE id % 5 = 0; ${words}`))
  },
}))

const autoCheckpoints: Pattern[] = [
  {
    name: 'auto-checkpoint off',
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    run: ({ app }) => app.repeat(everyday(20, 600), 100, 5),
  },
  {
    name: 'auto-checkpoint every 10 pages',
    pragmas: ['wal_autocheckpoint = 10'],
    schema: ITEMS,
    generations: 'told',
    run: ({ app }) => app.repeat(everyday(5, 300), 200, 4),
  },
  {
    name: 'auto-checkpoint every 10 pages, and the WAL is cut off each time',
    pragmas: ['wal_autocheckpoint = 10', 'journal_size_limit = 0'],
    schema: ITEMS,
    generations: 'told',
    run: ({ app }) => app.repeat(everyday(5, 300), 200, 4),
  },
  {
    name: 'auto-checkpoint every 1000 pages',
    pragmas: ['wal_autocheckpoint = 1000'],
    schema: ITEMS,
    generations: 'told',
    run: ({ app }) => app.repeat(everyday(40, 900), 150, 5),
  },
  {
    name: 'auto-checkpoint every 1000 pages, without a pause',
    pragmas: ['wal_autocheckpoint = 1000', 'synchronous = NORMAL'],
    schema: ITEMS,
    generations: 'told',
    run: ({ app }) => app.repeat([...everyday(10, 500), 'DELETE FROM item WHERE id % 3 = 0'], 1500, 0),
  },
]

const ownCheckpoints: Pattern[] = (['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const).map((mode) => ({
  name: `the application's own ${mode} checkpoints`,
  pragmas: ['wal_autocheckpoint = 0'],
  schema: ITEMS,
  async run({ app }) {
    for (let round = 0; round < 8; round++) {
      await app.repeat(everyday(10, 500), 10, 4)
      await app.checkpoint(mode)
    }
    // Writes go on at once behind a checkpoint, and checkpoints follow each other.
    await app.repeat(everyday(10, 500), 3, 0)
    await app.checkpoint(mode)
    await app.repeat(everyday(10, 500), 3, 0)
    await app.checkpoint(mode)
    await app.checkpoint(mode)
    await app.exec(insert(5, 100))
  },
}))

const shapes: Pattern[] = [
  {
    name: 'VACUUM',
    schema: ITEMS,
    async run(world) {
      const { app } = world
      for (let round = 0; round < 3; round++) {
        await world.step(() => app.exec(insert(1500, 700)))
        await world.step(() => app.exec('DELETE FROM item WHERE id % 3 > 0'))
        await world.step(() => app.exec('VACUUM'))
        await world.step(() => app.exec(insert(50, 100)))
      }
      await app.exec('DELETE FROM item; VACUUM')
    },
  },
  {
    name: 'a VACUUM to another page layout: auto_vacuum turned on',
    schema: ITEMS,
    async run(world) {
      await world.step(() => world.app.exec(insert(500, 900)))
      await world.step(() => world.app.exec('PRAGMA auto_vacuum = FULL; VACUUM'))
      await world.step(() => world.app.exec('DELETE FROM item WHERE id > 100'))
    },
  },
  {
    name: 'auto_vacuum = FULL shrinks',
    create: ['auto_vacuum = FULL'],
    schema: ITEMS,
    async run(world) {
      const { app } = world
      for (let round = 0; round < 4; round++) {
        await world.step(() => app.exec(insert(800, 900)))
        await world.step(() => app.exec('DELETE FROM item WHERE id % 4 > 0'))
        if (round === 1) await app.checkpoint('RESTART')
      }
      await app.exec('DROP TABLE item')
    },
  },
  {
    name: 'auto_vacuum = INCREMENTAL shrinks',
    create: ['auto_vacuum = INCREMENTAL'],
    schema: ITEMS,
    async run(world) {
      const { app } = world
      for (let round = 0; round < 4; round++) {
        await world.step(() => app.exec(insert(800, 900)))
        await world.step(() => app.exec('DELETE FROM item WHERE id % 4 > 0'))
        await world.step(() => app.exec('PRAGMA incremental_vacuum(40)'))
        if (round === 2) await app.checkpoint('TRUNCATE')
      }
      await app.exec('PRAGMA incremental_vacuum')
    },
  },
  {
    name: 'shrinks and grows again in one WAL cycle',
    create: ['auto_vacuum = INCREMENTAL'],
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    async run(world) {
      const { app } = world
      for (let round = 0; round < 6; round++) {
        const work = async () => {
          await app.exec(insert(600, 900))
          await app.exec('DELETE FROM item; PRAGMA incremental_vacuum')
          await app.exec(insert(250 + round * 60, 900))
        }
        // Now all of it in one segment, now each change in its own.
        if (round % 2 === 0) await world.step(work)
        else {
          await world.step(() => app.exec('DELETE FROM item'))
          await world.step(() => app.exec('PRAGMA incremental_vacuum'))
          await world.step(() => app.exec(insert(500, 900)))
        }
      }
    },
  },
  {
    name: 'shrinks, and grows again by pages that are free at once',
    create: ['auto_vacuum = INCREMENTAL'],
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    async run(world) {
      const { app } = world
      await world.step(() => app.exec(insert(600, 900)))
      await world.step(() => app.exec('DELETE FROM item; PRAGMA incremental_vacuum'))
      await app.checkpoint('TRUNCATE')
      const scratch = `CREATE TABLE scratch AS ${count(300)} SELECT i, randomblob(900) AS body FROM n`
      await world.step(() => app.exec(`BEGIN; ${scratch}; DROP TABLE scratch; COMMIT`))
      await world.step(() => app.exec(insert(10, 900)))
    },
  },
  {
    name: 'a transaction of 150 MB',
    alone: true,
    schema: ITEMS,
    async run(world) {
      const { app } = world
      const large = `${count(5000)} INSERT INTO item (kind, body) SELECT i, CAST(randomblob(3000) || zeroblob(27000) AS BLOB) FROM n`
      await world.step(() => app.exec(`BEGIN; ${large}; COMMIT`))
      await app.exec('UPDATE item SET kind = kind + 1 WHERE id % 100 = 0')
    },
  },
  {
    name: 'rollbacks that spilled into the WAL',
    pragmas: ['wal_autocheckpoint = 0', 'cache_size = 10', 'cache_spill = 1'],
    schema: ITEMS,
    async run(world) {
      const { app } = world
      for (let round = 0; round < 5; round++) {
        await app.exec('BEGIN')
        // A long transaction: its frames are in the WAL, not committed, while the daemon looks at it again and again.
        for (let part = 0; part < 10; part++) await app.exec(`${insert(300, 900)}; UPDATE item SET kind = kind + 1`)
        await app.exec('ROLLBACK')
        await world.step(() => app.exec(insert(20 + round, 300)))
        const savepoint = `SAVEPOINT a; ${insert(300, 900)}; ROLLBACK TO a; ${insert(3, 900)}; RELEASE a`
        await world.step(() => app.exec(`BEGIN; ${savepoint}; COMMIT`))
        if (round === 2) await app.checkpoint('TRUNCATE')
      }
    },
  },
  {
    name: 'schema changes',
    schema: ITEMS,
    async run(world) {
      const { app } = world
      await world.step(() => app.exec(insert(200, 300)))
      const changes = [
        "ALTER TABLE item ADD COLUMN note TEXT DEFAULT 'none'",
        'ALTER TABLE item RENAME COLUMN kind TO sort',
        'CREATE TABLE other (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item, twice AS (item * 2) STORED)',
        'CREATE TRIGGER item_added AFTER INSERT ON item BEGIN INSERT INTO other (item) VALUES (new.id); END',
        `${count(50)} INSERT INTO item (sort, body) SELECT i, randomblob(500) FROM n`,
        'CREATE VIEW busy AS SELECT sort, count(*) AS items FROM item GROUP BY sort',
        'CREATE UNIQUE INDEX other_item ON other (item) WHERE item > 10',
        'ALTER TABLE item RENAME TO thing; PRAGMA user_version = 7; PRAGMA application_id = 99',
        'ALTER TABLE thing DROP COLUMN note',
        'DROP VIEW busy; DROP TRIGGER item_added; DROP INDEX item_kind; REINDEX; ANALYZE',
        'DROP TABLE other',
      ]
      for (const change of changes) await world.step(() => app.exec(change))
    },
  },
  {
    name: 'FTS5',
    schema: 'CREATE VIRTUAL TABLE page USING fts5(title, body, prefix = 2, tokenize = trigram)',
    async run(world) {
      const { app } = world
      const words = `${count(150)} INSERT INTO page (title, body) SELECT 'title ' || i, hex(randomblob(100)) || ' word' || (i % 9) FROM n`
      await world.step(() => app.exec(words))
      await app.repeat([`${count(5)} INSERT INTO page SELECT 'later ' || i, hex(randomblob(60)) FROM n`], 40, 5)
      await world.step(() => app.exec("DELETE FROM page WHERE rowid % 4 = 0; UPDATE page SET title = title || '!'"))
      // Without something new there may be nothing to optimize, and so nothing to ship.
      await world.step(() =>
        app.exec("INSERT INTO page VALUES ('one more', 'of them'); INSERT INTO page (page) VALUES ('optimize')"),
      )
      await world.step(() => app.exec(words))
    },
  },
  {
    name: 'WITHOUT ROWID',
    schema: 'CREATE TABLE pair (a BLOB, b INTEGER, body TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID',
    async run(world) {
      const { app } = world
      const pairs = `${count(400)} INSERT INTO pair SELECT randomblob(12), i, hex(randomblob(150)) FROM n`
      for (let round = 0; round < 4; round++) {
        await world.step(() => app.exec(pairs))
        await world.step(() => app.exec(`DELETE FROM pair WHERE b % 3 = ${round % 3}; UPDATE pair SET b = b + 1`))
      }
    },
  },
  {
    name: 'large blobs',
    schema: ITEMS,
    async run(world) {
      const { app } = world
      await world.step(() => app.exec(insert(3, 4_000_000)))
      await world.step(() => app.exec('UPDATE item SET body = randomblob(3000000) WHERE id = 2'))
      await world.step(() => app.exec('DELETE FROM item WHERE id = 1'))
      await world.step(() => app.exec(insert(2, 2_500_000)))
      await app.exec('UPDATE item SET body = substr(body, 1, 1000000) || randomblob(10)')
    },
  },
]

const lives: Pattern[] = [
  {
    name: 'the application closes and opens again',
    pragmas: ['wal_autocheckpoint = 100'],
    schema: ITEMS,
    async run(world) {
      for (let round = 0; round < 4; round++) {
        const work = () => world.app.repeat(everyday(10, 300), 15, 3)
        // In the midst of replication, and when nothing is on the way.
        await (round % 2 === 0 ? work() : world.step(work))
        await world.app.close()
        await world.open()
      }
      await world.app.exec(insert(5, 100))
    },
  },
  {
    name: 'the application dies in the midst of writing and opens again',
    pragmas: ['wal_autocheckpoint = 100', 'synchronous = FULL'],
    schema: ITEMS,
    generations: 'told',
    async run(world) {
      for (let round = 0; round < 5; round++) {
        let ended = false
        const writing = world.app.repeat(everyday(10, 300), 100_000, round % 2).catch(() => {
          ended = true
        })
        await world.step(async () => {})
        await world.app.kill()
        await writing
        if (!ended) throw new Error('the application was not writing when it died')
        await world.open()
      }
      await world.app.exec(insert(5, 100))
    },
  },
  {
    name: 'the application comes back only to read',
    schema: ITEMS,
    async run(world) {
      await world.step(() => world.app.exec(insert(100, 300)))
      await world.app.close()
      await world.open()
      await world.app.all('SELECT count(*) FROM item')
    },
  },
  {
    name: 'we are killed and go on in the same generation',
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    async run(world) {
      for (let life = 1; life <= 3; life++) {
        let stop = false
        const writing = (async () => {
          while (!stop) await world.app.repeat(everyday(10, 300), 5, 3)
        })()
        await world.step(async () => {})
        await world.killDaemon()
        await world.app.exec(insert(30, 300))
        await world.startDaemon()
        await world.logged('msg="continuing generation"', life)
        stop = true
        await writing
      }
      await world.step(() => world.app.exec(insert(5, 100)))
    },
  },
  {
    name: 'we are killed, and the WAL restarts before we are back',
    schema: ITEMS,
    generations: 2,
    async run(world) {
      await world.step(() => world.app.exec(insert(200, 300)))
      await world.killDaemon()
      await world.app.exec(insert(200, 300))
      await world.app.checkpoint('TRUNCATE')
      await world.app.exec(insert(50, 300))
      await world.startDaemon()
      await world.logged('msg="snapshot written"', 2)
      await world.step(() => world.app.exec('DELETE FROM item WHERE id % 2 = 0'))
    },
  },
  {
    name: 'we stop and start again while nothing happens',
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    async run(world) {
      await world.step(() => world.app.exec(insert(200, 300)))
      for (let life = 1; life <= 2; life++) {
        await world.stopDaemon()
        await world.startDaemon()
        await world.logged('msg="continuing generation"', life)
      }
      await world.step(() => world.app.exec(insert(5, 300)))
    },
  },
  {
    name: 'the database is created after we started',
    schema: ITEMS,
    start: 'nothing',
    generations: 'told',
    async run(world) {
      await world.startDaemon()
      await world.wait(() => world.log.includes('replicating to'))
      await world.create()
      await world.app.repeat(everyday(10, 300), 60, 4)
      await world.logged('msg="snapshot written"')
      await world.step(() => world.app.exec(insert(5, 100)))
    },
  },
  {
    name: 'the application opens its database after we have seen it closed',
    schema: ITEMS,
    start: 'nothing',
    async run(world) {
      await world.create()
      await world.app.exec(insert(300, 400))
      await world.app.close()
      await world.startDaemon()
      await world.logged('msg="snapshot written"')
      await world.open()
      await world.step(() => world.app.exec(insert(100, 400)))
      await world.step(() => world.app.exec('DELETE FROM item WHERE id % 2 = 0'))
    },
  },
  {
    name: 'a WAL with big-endian checksums',
    pragmas: ['wal_autocheckpoint = 0'],
    schema: ITEMS,
    start: 'nothing',
    async run(world) {
      await world.create()
      await world.app.exec(insert(100, 400))
      await world.app.kill()
      const made = makeWalBigEndian(world.databasePath)
      await world.open()
      await world.app.exec(insert(20, 400))
      await world.startDaemon()
      await world.logged('msg="snapshot written"')
      await world.step(() => world.app.repeat(everyday(10, 300), 20, 3))
      const chain = readWalChain(world.databasePath)
      if (!chain.bigEndian || chain.frames <= made.frames)
        throw new Error('SQLite did not continue the big-endian chain')
      // The next cycle is in the machine's order again.
      await world.app.checkpoint('RESTART')
      await world.step(() => world.app.repeat(everyday(10, 300), 20, 3))
      if (readWalChain(world.databasePath).bigEndian) throw new Error('the WAL was not restarted')
    },
  },
  {
    name: 'past 1 GiB, where SQLite leaves a page out',
    create: ['page_size = 65536'],
    pragmas: ['wal_autocheckpoint = 0'],
    start: 'nothing',
    replicas: ['file'],
    large: true,
    alone: true,
    async run(world) {
      // Up to just below the lock-byte page, without a WAL: zeros, in one go.
      await world.app.open(['page_size = 65536', 'journal_mode = OFF', 'synchronous = OFF'])
      await world.app.exec(`${ITEMS} ${count(16)} INSERT INTO item (kind, body) SELECT i, zeroblob(67000000) FROM n`)
      await world.app.close()
      await world.create()
      // Past it, in the WAL only: the file still ends below.
      await world.app.exec(insert(4, 1_000_000))
      await world.startDaemon()
      await world.logged('msg="snapshot written"')
      await world.step(() => world.app.exec(insert(4, 1_000_000)))
      await world.step(() => world.app.exec('UPDATE item SET kind = 7 WHERE id > 10'))
    },
  },
]

export const patterns: readonly Pattern[] = [
  ...pageSizes,
  ...encodings,
  ...autoCheckpoints,
  ...ownCheckpoints,
  ...shapes,
  ...lives,
]
