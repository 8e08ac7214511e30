// node build/bundle.mjs, after the compiler: the command in a few files. A list command spends most of its time on finding, reading and compiling
// some 150 small files, most of them the SDK's and YAML's; in four it takes half as long (BENCHMARKS.md, start).
//
// dist/cli/main.js is replaced and imports from dist/bundle/; everything else in dist stays one file for each source, for the
// demonstration and for whoever imports a part. Native modules, and packages that only the daemon loads, stay where they are.
// The two large packages are CommonJS scripts with a code cache (build/code-cache.js, build/warm.mjs), which saves most of what is left.
// Names are kept and only blanks and comments go, so that a stack trace still says something.
//
// Workers are found beside whoever starts them (`new URL('./x-worker.js', import.meta.url)`), so all lie flat in dist/bundle/.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = (path) => join(root, 'src', path)
/** The large packages that are in the bundle, each in a script with a code cache. */
const VENDORS = { sdk: '@aws-sdk/client-s3', yaml: 'yaml' }
const BUNDLED = Object.values(VENDORS)
const LISTS = ['databases', 'generations', 'snapshots', 'wal'].map((name) => source(`cli/commands/${name}.ts`))

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const external = Object.keys(dependencies).filter((name) => !BUNDLED.includes(name))

const workers = readdirSync(source(''), { recursive: true }).filter((path) => path.endsWith('-worker.ts'))

/**
 * Whatever is loaded at once shall be in one file: what a command imports when it starts, not what it imports later. `roots` are by the
 * names of the files; what two of them need is in the first.
 */
function inGroups(roots) {
  const groupOf = new Map()
  const plugin = {
    name: 'grouping',
    renderStart() {
      for (const [name, ids] of Object.entries(roots)) {
        const seen = new Set()
        const take = (id) => {
          const info = seen.has(id) ? null : this.getModuleInfo(id)
          if (!info || info.isExternal) return
          seen.add(id)
          // Never a program: whoever imported something beside it would run it.
          if (!info.isEntry && !groupOf.has(id)) groupOf.set(id, name)
          info.importedIds.forEach(take)
        }
        ids.forEach(take)
      }
    },
  }
  const names = Object.keys(roots)
  const groups = names.map((name, position) => ({
    name,
    test: (id) => groupOf.get(id) === name,
    priority: names.length - position,
  }))
  return { plugin, codeSplitting: { groups } }
}

const folder = join(root, 'dist', 'bundle')
rmSync(folder, { recursive: true, force: true })
const minify = { compress: false, mangle: false, codegen: { removeWhitespace: true } }
const resolve = {
  // The builds that consist of ES modules: what nobody imports is left out. YAML has no other name for its own.
  alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
  mainFields: ['module', 'main'],
  extensionAlias: { '.js': ['.ts', '.js'] },
}

/** The packages, as CommonJS: only such a script can have a code cache under Node 20. */
async function writeVendors() {
  const grouping = inGroups(Object.fromEntries(Object.keys(VENDORS).map((name) => [name, [`vendor:${name}`]])))
  const bundle = await rolldown({
    cwd: root,
    platform: 'node',
    input: Object.fromEntries(Object.keys(VENDORS).map((name) => [name, `vendor:${name}`])),
    resolve,
    plugins: [
      {
        name: 'vendors',
        resolveId: (id) => (id.startsWith('vendor:') ? id : null),
        load(id) {
          const from = id.startsWith('vendor:') ? VENDORS[id.slice('vendor:'.length)] : undefined
          return from === undefined ? null : `export { ${namesFrom(from).join(', ')} } from '${from}'`
        },
      },
      grouping.plugin,
    ],
    logLevel: 'warn',
  })
  const { output } = await bundle.write({
    dir: folder,
    format: 'cjs',
    // A script has no loader for what it would import.
    dynamicImportInCjs: false,
    minify,
    entryFileNames: '[name]-[hash].cjs',
    chunkFileNames: '[name]-[hash].cjs',
    codeSplitting: grouping.codeSplitting,
  })
  await bundle.close()
  return output
}

/** What our sources import from a package. */
function namesFrom(from) {
  const statement = new RegExp(`^import \\{([^}]*)\\} from '${from}'$`, 'gm')
  const names = readdirSync(source(''), { recursive: true })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => [...readFileSync(source(path), 'utf8').matchAll(statement)])
    .flatMap(([, list]) => list.split(',').map((name) => name.trim()))
  return [...new Set(names)].filter((name) => name !== '' && !name.startsWith('type ')).sort()
}

/** In place of a package: its script's exports by name. */
function vendorsFrom(output) {
  const names = new Map(Object.entries(VENDORS).map(([name, from]) => [from, name]))
  return {
    name: 'vendors',
    resolveId: (id) => (names.has(id) ? `vendor:${id}` : null),
    load(id) {
      const from = id.startsWith('vendor:') ? id.slice('vendor:'.length) : undefined
      if (from === undefined) return null
      const { fileName } = output.find((chunk) => chunk.isEntry && chunk.name === names.get(from))
      return [
        `import { loadScript } from '${join(root, 'build', 'code-cache.js')}'`,
        `const exported = loadScript(new URL('./${fileName}', import.meta.url))`,
        ...namesFrom(from).map((name) => `export const ${name} = exported.${name}`),
      ].join('\n')
    },
  }
}

const vendors = await writeVendors()
const grouping = inGroups({ start: [source('cli/main.ts')], lists: LISTS })
const bundle = await rolldown({
  cwd: root,
  platform: 'node',
  input: {
    'cli/main': source('cli/main.ts'),
    'bundle/code-cache': join(root, 'build', 'code-cache.js'),
    ...Object.fromEntries(workers.map((path) => [`bundle/${basename(path, '.ts')}`, source(path)])),
  },
  external,
  resolve,
  plugins: [vendorsFrom(vendors), grouping.plugin],
  logLevel: 'warn',
})
const { output } = await bundle.write({
  dir: join(root, 'dist'),
  format: 'esm',
  minify,
  entryFileNames: '[name].js',
  chunkFileNames: 'bundle/[name]-[hash].js',
  codeSplitting: grouping.codeSplitting,
})
await bundle.close()
const modules = [...vendors, ...output].flatMap((chunk) => Object.keys(chunk.modules ?? {}))
writeFileSync(join(folder, 'LICENSES.txt'), licences(modules))
// Without the environment, which may name a proxy or credentials.
execFileSync(process.execPath, [join(root, 'build', 'warm.mjs')], { env: {}, stdio: 'inherit' })

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
