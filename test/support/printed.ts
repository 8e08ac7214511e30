// The documents in docs/ as tests execute them: their blocks of code, and whether a line stands in one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './make-dist.js'

export interface Printed {
  /** The block of code that follows `text`. */
  block(text: string): string
  /** Whether a line stands there. */
  has(line: string): boolean
}

/** docs/NAME.md */
export function printed(name: string): Printed {
  const document = readFileSync(join(projectRoot, 'docs', `${name}.md`), 'utf8')
  return {
    block(text) {
      const from = document.indexOf(text)
      const block = /```(?:sh|yaml)\n([\s\S]*?)```/.exec(document.slice(from))?.[1]
      if (from < 0 || block === undefined) throw new Error(`docs/${name}.md has no block behind "${text}"`)
      return block
    },
    has: (line) => document.includes(line),
  }
}
