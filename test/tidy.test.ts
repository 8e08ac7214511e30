// What a reviewer would otherwise have to say again and again: layers, one owner for each package and each side effect, a first
// comment in every file, files that can be read in one go, documents that name what exists.
//
// The linter knows the layers too (biome.json) and tells while typing; here they are one table.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { projectRoot } from './support/make-dist.js'

const read = (file: string): string => readFileSync(join(projectRoot, file), 'utf8')
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: projectRoot,
  encoding: 'utf8',
})
const files = listed.split('\n').filter((file) => file !== '' && existsSync(join(projectRoot, file)))
const sources = files.filter((file) => /^src\/.*\.ts$/.test(file))
const programs = files.filter((file) => /^(src|test|bench|docker)\/.*\.(ts|cjs|mjs)$/.test(file))
const documents = files.filter((file) => /^[^/]+\.md$|^(docker|docs)\/.*\.md$/.test(file))

/** Layers from the bottom; a file may import from its own layer and those below. Files directly in src/ are named. */
const LAYERS: readonly (readonly string[])[] = [
  ['sqlite', 'model', 'plan', 'errors.ts', 'version.ts'],
  [
    'codec',
    'source',
    'replica',
    'boot.ts',
    'clock.ts',
    'logger.ts',
    'log-format.ts',
    'log.ts',
    'spare-buffers.ts',
    'garbage.ts',
    'memory-watch.ts',
    'engine-tuning.ts',
  ],
  ['replicate', 'restore', 'doctor'],
  ['config', 'control', 'http', 'cli'],
]

/** Who else may import a package than the one file that owns it, and why. */
const SHARED_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  // One concern in several files: connection, requests, uploads in parts.
  '@aws-sdk/client-s3': [
    'src/replica/s3-answers.ts',
    'src/replica/s3-client.ts',
    'src/replica/s3-conditional.ts',
    'src/replica/s3-connection.ts',
    'src/replica/s3-multipart.ts',
    'src/replica/s3-renewal.ts',
    'src/replica/s3-shared.ts',
  ],
  // The program itself opens databases in one place; the sample application is a program of its own.
  'better-sqlite3': ['src/cli/demo-application.ts', 'src/source/sqlite.ts'],
}

/** Files above 300 lines: why they are not two. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'src/replicate/follower.ts': 'one loop; its states are told in the first comment',
  'src/replicate/shipper.ts': 'one loop; its states are told in the first comment',
  'src/replicate/wal-tracker.ts': 'one position in the WAL and every way in which it moves',
  'test/interop/patterns.ts': 'a table',
  'test/unit/config/load.test.ts': 'every key and every mistake',
}
const LINES_MAX = 300
const LINES_MAX_LONG = 620
const LINES_MAX_TEST = 400

/** Side effects and the only files that have them. */
const EFFECTS: readonly { readonly name: string; readonly pattern: RegExp; readonly files: readonly string[] }[] = [
  {
    name: 'reading a clock',
    pattern: /\bDate\.now\(|\bperformance\.now\(|\bhrtime\b|\bnew Date\(\)/,
    files: [
      'src/clock.ts',
      'src/log.ts',
      'src/cli/io-logger.ts', // the time of a line
      'src/cli/output.ts', // the time of a line
      'src/cli/commands/generations.ts', // the lag behind now
      'src/cli/demo.ts',
      'src/cli/demo-application.ts',
    ],
  },
  {
    name: 'randomness',
    pattern: /\bMath\.random\(|\brandomBytes\(|\brandomUUID\(|\bgetRandomValues\(/,
    files: [
      'src/boot.ts', // a name for a process whose system tells none
      'src/cli/commands/doctor.ts',
      'src/cli/commands/replicate.ts',
      'src/replica/file-write.ts',
      'src/restore/output.ts',
    ],
  },
  {
    name: 'timers',
    pattern: /\bsetTimeout\b|\bsetInterval\b/,
    files: [
      'src/doctor/network-checks.ts', // patience of a socket
      'src/spare-buffers.ts', // gives memory back after a burst
      'src/clock.ts', // for all engines
      'src/control/client.ts', // patience with a daemon
      'src/control/server.ts', // a connection that says nothing
      'src/control/requests.ts', // patience with a replica
      'src/replica/streams.ts',
      'src/restore/resuming.ts',
      'src/cli/exec.ts',
      'src/cli/demo-children.ts',
      'src/cli/demo-application.ts',
    ],
  },
  { name: 'process.exit', pattern: /\bprocess\.exit\(/, files: ['src/cli/main.ts', 'src/cli/demo.ts'] },
]

interface Import {
  readonly file: string
  readonly specifier: string
}

function importsOf(file: string): Import[] {
  const code = read(file)
  const found = code.matchAll(/\bfrom '([^'\n]+)'|^import '([^'\n]+)'|\bimport\('([^'\n]+)'\)/gm)
  return [...found].map((match) => ({ file, specifier: (match[1] ?? match[2] ?? match[3]) as string }))
}

const imports = sources.flatMap(importsOf)
const packages = imports.filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Of a path within src/. */
function layerOf(path: string): number {
  const layer = LAYERS.findIndex((names) => names.includes(path.split('/')[0] as string))
  if (layer < 0) throw new Error(`src/${path} is in no layer; put its folder into LAYERS`)
  return layer
}

test('there is something to check', () => {
  expect(sources.length).toBeGreaterThan(80)
  expect(imports.length).toBeGreaterThan(sources.length)
  expect(packages.length).toBeGreaterThan(5)
})

describe('imports', () => {
  test('go only downward', () => {
    const upward = imports.filter(({ file, specifier }) => {
      if (!specifier.startsWith('.')) return false
      const target = relative(join(projectRoot, 'src'), resolve(projectRoot, dirname(file), specifier)).replace(
        /\.js$/,
        '.ts',
      )
      return layerOf(target) > layerOf(relative('src', file))
    })
    expect(upward).toEqual([])
  })

  test('of the pure layer are pure', () => {
    const impure = imports.filter(
      ({ file, specifier }) => layerOf(relative('src', file)) === 0 && !specifier.startsWith('.'),
    )
    expect(impure).toEqual([])
  })

  test('of a program that starts by itself: none', () => {
    expect(imports.filter(({ specifier }) => /\/(main|demo)\.js$/.test(specifier))).toEqual([])
    // Its types may be shared with who starts it; a real import would start it.
    const started = sources.filter((file) => /^import (?!type ).*demo-application/m.test(read(file)))
    expect(started).toEqual([])
  })

  test('of each package are in one file', () => {
    const owners: Record<string, string[]> = {}
    for (const { file, specifier } of packages) {
      const name = packageOf(specifier)
      owners[name] = [...new Set([...(owners[name] ?? []), file])]
    }
    for (const [name, list] of Object.entries(owners)) {
      if (list.length > 1) expect(list.sort(), name).toEqual(SHARED_PACKAGES[name])
    }
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    expect(Object.keys(owners).sort()).toEqual(Object.keys(dependencies).sort())
  })
})

describe('files', () => {
  test('begin with a comment that says what they are for', () => {
    // A test of one source file is explained by that file.
    const explained = programs.filter((file) => !/^test\/(unit|property)\//.test(file))
    const without = explained.filter((file) => !/^(#!.*\n)?(\/\/ \S.{20}|\/\*\*\s)/.test(read(file)))
    expect(without).toEqual([])
  })

  test('can be read in one go', () => {
    const tooLong = programs.filter((file) => {
      const lines = read(file).split('\n').length - 1
      return lines > (LONG_FILES[file] ? LINES_MAX_LONG : file.startsWith('src/') ? LINES_MAX : LINES_MAX_TEST)
    })
    expect(tooLong).toEqual([])
  })

  test.each(EFFECTS)('$name: one owner for each purpose', ({ pattern, files: owners }) => {
    const withoutComments = (file: string): string => read(file).replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')
    expect(sources.filter((file) => pattern.test(withoutComments(file)) && !owners.includes(file))).toEqual([])
  })

  test('name no place of somebody’s machine', () => {
    const places = [
      ['', 'work', '(main|shared)'],
      ['', '.library'],
      ['', 'var', 'tmp', 'tools'],
      ['', 'home', '[a-z]+', ''],
    ]
    const pattern = new RegExp(places.map((parts) => parts.join('/').replaceAll('.', '\\.')).join('|'))
    const texts = files.filter((file) => !/^LICENSE$|\.(lz4|db|png|sqlite3?|wal)$/.test(file))
    const found = texts.flatMap((file) =>
      read(file)
        .split('\n')
        .filter((line) => pattern.test(line))
        .map((line) => `${file}: ${line}`),
    )
    expect(found).toEqual([])
  })
})

describe('documents', () => {
  test('the architecture can be read in one go', () => {
    expect(read('ARCHITECTURE.md').split('\n').length - 1).toBeLessThan(200)
  })

  test.each(documents)('%s names only files that exist', (document) => {
    const text = read(document)
    const inBackticks = [...text.matchAll(/`((?:src|test|bench|docker|\.ci)\/[\w./*-]*)`/g)].map(
      (match) => match[1] as string,
    )
    const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) =>
      join(dirname(document), match[1] as string),
    )
    const missing = [...inBackticks, ...linked].filter((path) => !existsSync(join(projectRoot, path)))
    expect(missing).toEqual([])
  })

  test('what the package ships exists, and the command is executable Node', () => {
    const manifest = JSON.parse(read('package.json')) as { files: string[]; bin: { litestream: string } }
    const missing = manifest.files.filter(
      (file) => file !== 'dist' && !statSync(join(projectRoot, file), { throwIfNoEntry: false }),
    )
    expect(missing).toEqual([])
    expect(manifest.bin.litestream).toBe('dist/cli/main.js')
    expect(read('src/cli/main.ts')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })
})
