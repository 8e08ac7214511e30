// Environment variables in the text of a configuration, before it is read as YAML, by the rules of Go's os.Expand:
//
//   $NAME, ${NAME}            the variable's value; nothing when it is not set. NAME is the longest run of A-Z a-z 0-9 _
//   $$ $# $@ $* $! $? $- $0…  one character is the name, so practically nothing
//   ${}                       nothing
//   $ before anything else    stays
//
// Unlike there, a `${` that is not closed on its line is reported (the original swallows text up to the next `}`), and it is
// remembered what was put where, so that an error can name the line of the file and the variable that was missing.

export interface Expansion {
  readonly name: string
  /** The variable was not in the environment. One that is set to nothing is not unset. */
  readonly unset: boolean
  /** Where the value stands in the expanded text, and where the reference stood in the file. */
  readonly start: number
  readonly end: number
  readonly rawStart: number
  readonly rawEnd: number
}

export interface ExpandedText {
  readonly text: string
  readonly expansions: readonly Expansion[]
  /** Offsets in the file of each `${` that is not closed on its line. */
  readonly unclosed: readonly number[]
}

export type Environment = Readonly<Record<string, string | undefined>>

const REFERENCE = /\$(?:\{([^}\n]*)\}|\{|([*#$@!?\-0-9])|([A-Za-z0-9_]+))/g

export function expandEnvironment(raw: string, env: Environment): ExpandedText {
  const expansions: Expansion[] = []
  const unclosed: number[] = []
  let text = ''
  let from = 0
  for (const match of raw.matchAll(REFERENCE)) {
    text += raw.slice(from, match.index)
    from = match.index + match[0].length
    const name = match[1] ?? match[2] ?? match[3]
    if (name === undefined) unclosed.push(match.index)
    if (name === undefined || name === '') continue
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    const start = text.length
    text += value ?? ''
    const end = text.length
    expansions.push({ name, unset: value === undefined, start, end, rawStart: match.index, rawEnd: from })
  }
  return { text: text + raw.slice(from), expansions, unclosed }
}

/** The offset in the file of what stands at `offset` in the expanded text. */
export function rawOffset(expansions: readonly Expansion[], offset: number): number {
  let shift = 0
  for (const expansion of expansions) {
    if (expansion.start > offset) break
    if (offset < expansion.end) return expansion.rawStart
    shift = expansion.rawEnd - expansion.end
  }
  return offset + shift
}
