// node prune.mjs: leaves of ./node_modules what runs. Packages that only installing took go, and of the others types, source maps,
// the ES module twins of what Node loads as CommonJS, documents, tests, and what the compiler read and made. Licences stay.
// Whatever this takes too much of, test/e2e/image.test.ts finds: it loads every package of the image.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Dependencies that are needed while installing only. */
const INSTALLERS = ['prebuild-install']
const FOLDERS = /^(tests?|__tests__|benchmarks?|examples?|docs|dist-types|dist-es|\.github|\.bin)$/
const FILES =
  /\.([cm]?ts|map|flow|mk|html|ico|zip|tar|c|cc|cpp|h|gyp|gypi|tsbuildinfo)$|^(Makefile|tsconfig.*\.json|\..*)$|^(?!licen[cs]e).*\.md$/i

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** Where `name` is found from a package's folder, as Node looks for it. */
function find(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name)
    if (existsSync(found)) return found
    if (folder === dirname(folder)) return undefined
  }
}

const needed = new Set()
function need(folder) {
  const { dependencies, optionalDependencies } = manifestOf(folder)
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const found = INSTALLERS.includes(name) ? undefined : find(name, folder)
    if (found === undefined || needed.has(found)) continue
    needed.add(found)
    need(found)
  }
}
need(process.cwd())

function* packagesIn(modules) {
  for (const name of readdirSync(modules)) {
    const folder = join(modules, name)
    if (name.startsWith('.')) rmSync(folder, { recursive: true })
    else if (name.startsWith('@')) yield* packagesIn(folder)
    else yield folder
  }
}

function trim(folder, keep) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && entry.name === 'node_modules') packages(path)
    else if (entry.isDirectory() && FOLDERS.test(entry.name)) rmSync(path, { recursive: true })
    else if (entry.isDirectory()) trim(path, keep)
    else if (!keep(path) || FILES.test(entry.name)) rmSync(path)
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true })
}

function packages(modules) {
  for (const folder of packagesIn(modules)) {
    // Sources of SQLite, objects, a static library; what runs is one file.
    const made = /\/better-sqlite3\/(build|src|deps)\//
    const runs = (path) => !made.test(path) || path.endsWith('/better-sqlite3/build/Release/better_sqlite3.node')
    if (needed.has(folder)) trim(folder, runs)
    else rmSync(folder, { recursive: true })
  }
}

packages(join(process.cwd(), 'node_modules'))
