// node build/bundle.mjs, after the compiler: the command in a few files. A list command spends most of its time on finding, reading and compiling
// some 150 small files, most of them the SDK's and YAML's; in four it takes half as long (BENCHMARKS.md, start).
//
// dist/cli/main.js is replaced and imports from dist/bundle/; everything else in dist stays one file for each source, for the
// demonstration and for whoever imports a part. Native modules, and packages that only the daemon loads, stay where they are.
// Names are kept and only blanks and comments go, so that a stack trace still says something.
//
// Workers are found beside whoever starts them (`new URL('./x-worker.js', import.meta.url)`), so all lie flat in dist/bundle/.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = (path) => join(root, 'src', path)
const BUNDLED = ['@aws-sdk/client-s3', 'yaml']
const LISTS = ['databases', 'generations', 'snapshots', 'wal'].map((name) => source(`cli/commands/${name}.ts`))

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const external = Object.keys(dependencies).filter((name) => !BUNDLED.includes(name))

const workers = readdirSync(source(''), { recursive: true }).filter((path) => path.endsWith('-worker.ts'))

/** Whatever is loaded at once shall be in one file: what a command imports when it starts, not what it imports later. */
const GROUPS = ['start', 'yaml', 'sdk', 'lists']
const groupOf = new Map()
const grouping = {
  name: 'grouping',
  renderStart() {
    const group = (name, roots, isOurs) => {
      const seen = new Set()
      const take = (id) => {
        const info = seen.has(id) ? null : this.getModuleInfo(id)
        if (!info || info.isExternal) return
        seen.add(id)
        // Never a program: whoever imported something beside it would run it.
        const isOther = info.isEntry || isOurs === id.includes('node_modules')
        if (!isOther && !groupOf.has(id)) groupOf.set(id, name)
        info.importedIds.forEach(take)
      }
      roots.forEach(take)
    }
    group('start', [source('cli/main.ts')], true)
    group('yaml', LISTS, false)
    group('sdk', [source('replica/s3-client.ts')], false)
    group('lists', LISTS, true)
  },
}

const bundle = await rolldown({
  cwd: root,
  platform: 'node',
  input: {
    'cli/main': source('cli/main.ts'),
    ...Object.fromEntries(workers.map((path) => [`bundle/${basename(path, '.ts')}`, source(path)])),
  },
  external,
  resolve: {
    // The builds that consist of ES modules: what nobody imports is left out. YAML has no other name for its own.
    alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
    mainFields: ['module', 'main'],
    extensionAlias: { '.js': ['.ts', '.js'] },
  },
  plugins: [grouping],
  logLevel: 'warn',
})

const folder = join(root, 'dist', 'bundle')
rmSync(folder, { recursive: true, force: true })
const { output } = await bundle.write({
  dir: join(root, 'dist'),
  format: 'esm',
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  entryFileNames: '[name].js',
  chunkFileNames: 'bundle/[name]-[hash].js',
  codeSplitting: {
    groups: GROUPS.map((name, position) => ({
      name,
      test: (id) => groupOf.get(id) === name,
      priority: GROUPS.length - position,
    })),
  },
})
await bundle.close()
writeFileSync(join(folder, 'LICENSES.txt'), licences(output.flatMap((chunk) => Object.keys(chunk.modules ?? {}))))

/** Those of all packages that are in the bundle now. */
function licences(modules) {
  const packages = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0])
  const texts = [...new Set(packages)].filter(Boolean).map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry))
    return `${name} ${version} (${license})\n\n${file ? readFileSync(join(path, file), 'utf8').trim() : ''}\n`
  })
  return texts.sort().join(`\n${'-'.repeat(80)}\n\n`)
}
