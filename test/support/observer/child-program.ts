// Turns a TypeScript program of the tests into one that a child process can run: transpiles it and what it imports from test/, and
// points its imports of src/ at the compiled output. SQLite's locks belong to processes, so nearly every test of the observer
// needs an observer and an application that are processes of their own.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { projectRoot } from '../make-dist.js'
import { distMain } from '../programs.js'

/** Inside node_modules, so that imports of packages resolve; per process, so that nobody overwrites a running program. */
const outputs = join(projectRoot, 'node_modules', '.litestream-test-children')
const outputRoot = join(outputs, String(process.pid))
const made = new Map<string, Promise<string>>()

/** `name` is relative to test/, with its extension `.ts`. Resolves with the path of the program for `node`. */
export function childProgram(name: string): Promise<string> {
  let program = made.get(name)
  if (!program) {
    if (made.size === 0) removeAbandoned()
    program = distMain().then((main) => transpile(join(projectRoot, 'test', name), dirname(dirname(main))))
    made.set(name, program)
  }
  return program
}

/** Of processes that have ended: test runners end their workers without a chance to tidy up. */
function removeAbandoned(): void {
  mkdirSync(outputs, { recursive: true })
  for (const pid of readdirSync(outputs)) {
    if (pid === String(process.pid) || !existsSync(`/proc/${pid}`)) {
      rmSync(join(outputs, pid), { recursive: true, force: true })
    }
  }
}

function transpile(source: string, dist: string): string {
  const output = join(outputRoot, relative(projectRoot, source)).replace(/\.ts$/, '.mjs')
  if (existsSync(output)) return output
  mkdirSync(dirname(output), { recursive: true })
  const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
    fileName: source,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  })
  const src = join(projectRoot, 'src')
  const text = outputText.replace(/(from\s+)'(\.[^']+)'/g, (_, from: string, specifier: string) => {
    const imported = resolve(dirname(source), specifier)
    const inSrc = relative(src, imported)
    const file = inSrc.startsWith('..') ? transpile(imported.replace(/\.js$/, '.ts'), dist) : join(dist, inSrc)
    return `${from}'${pathToFileURL(file)}'`
  })
  writeFileSync(output, text)
  return output
}
