// The command line run in this process, with outputs in memory: for tests of what a command prints and returns.

import { dispatch } from '../../src/cli/dispatch.js'

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** `words` begin with the command's name; `cwd` is where relative paths start. */
export async function inProcess(
  words: readonly string[],
  { cwd = '/', env = {} }: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const texts = { stdout: '', stderr: '' }
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY: false,
    write: (text: string) => {
      texts[name] += text
    },
  })
  const { signal } = new AbortController()
  const code = await dispatch(words, { stdout: output('stdout'), stderr: output('stderr'), env, cwd, signal })
  return { code, ...texts }
}
