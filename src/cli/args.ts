// Command lines by the rules of Go's `flag` package, which scripts written for the original rely on:
//
//   -name value | -name=value, with one dash or two       a flag with a value; the last one wins
//   -name | -name=true|false|1|0|t|f|T|F|…                 a boolean; never takes the next word
//   --                                                     ends the flags and is dropped
//   anything else (also a single `-`)                      ends the flags: the first operand
//
// Error texts are interface: they are the original's to the letter. Reading only; printing is parseCommandLine's.

import type { LoadOptions } from '../config/load.js'
import { LitestreamError } from '../errors.js'
import { goQuote } from '../log-format.js'
import { parseRfc3339 } from '../model/target.js'
import type { CommandIo } from './io.js'

export interface Flag<T> {
  readonly initial: T
  readonly boolean: boolean
  /** The value, or why there is none, as Go says it (`parse error`). */
  readonly parse: (text: string) => { readonly value: T } | { readonly problem: string }
}

// biome-ignore lint/suspicious/noExplicitAny: a set of flags of any types; FlagValues gives each its own back
export type FlagSet = Readonly<Record<string, Flag<any>>>
export type FlagValues<S extends FlagSet> = { readonly [K in keyof S]: S[K] extends Flag<infer T> ? T : never }

export interface ParsedArgs<S extends FlagSet> {
  readonly flags: FlagValues<S>
  readonly operands: readonly string[]
}

export function stringFlag(initial = ''): Flag<string> {
  return { initial, boolean: false, parse: (text) => ({ value: text }) }
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

export function booleanFlag(): Flag<boolean> {
  const parse: Flag<boolean>['parse'] = (text) => {
    if (TRUE.includes(text)) return { value: true }
    return FALSE.includes(text) ? { value: false } : { problem: 'parse error' }
  }
  return { initial: false, boolean: true, parse }
}

/** A Go `int` flag: decimal, or with the prefix 0x, 0o, 0b or 0; `_` may stand between digits. */
export function integerFlag(initial: number): Flag<number> {
  const parse: Flag<number>['parse'] = (text) => {
    const digits = /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)$/.exec(
      text,
    )
    if (!digits) return { problem: 'parse error' }
    const bare = (digits[2] as string).replaceAll('_', '').replace(/^0(?=[0-7])/, '0o')
    const value = Number(BigInt(bare)) * (digits[1] === '-' ? -1 : 1)
    return Number.isSafeInteger(value) ? { value: value + 0 } : { problem: 'value out of range' }
  }
  return { initial, boolean: false, parse }
}

/** The original's `-index`: signed 32-bit hexadecimal without a prefix; undefined when not given. */
export function hexIndexFlag(): Flag<number | undefined> {
  const parse: Flag<number | undefined>['parse'] = (text) => {
    const value = /^[+-]?[0-9a-fA-F]+$/.test(text) ? Number.parseInt(text, 16) : Number.NaN
    const fits = value >= -0x8000_0000 && value <= 0x7fff_ffff
    return fits ? { value: value + 0 } : { problem: 'invalid hexadecimal format' }
  }
  return { initial: undefined, boolean: false, parse }
}

/** A flag with a value of its own kind; `parse` returns undefined for what it cannot read, and `problem` is said then. */
export function choiceFlag<T extends string>(choices: readonly T[], initial: T): Flag<T> {
  const problem = `must be one of ${choices.join(', ')}`
  const parse: Flag<T>['parse'] = (text) => {
    const value = choices.find((choice) => choice === text)
    return value === undefined ? { problem } : { value }
  }
  return { initial, boolean: false, parse }
}

/** The flags that every command but `version` and `help` has. */
export const commonFlags = { config: stringFlag(), 'no-expand-env': booleanFlag() }

/** What they say to loadConfig. */
export function loadOptions(flags: FlagValues<typeof commonFlags>, { env, cwd }: CommandIo): LoadOptions {
  return { path: flags.config, env, cwd, expandEnv: !flags['no-expand-env'] }
}

/** The moment of a `-timestamp` that is not empty. Throws USAGE. */
export function timestampMs(text: string): number {
  const atMs = parseRfc3339(text)
  if (atMs !== undefined) return atMs
  // The space before "format" is the original's: one that does not break.
  throw usage('invalid -timestamp, must specify in ISO 8601\u00a0format (e.g. 2000-01-01T00:00:00Z)')
}

/** Undefined when help was asked for (`-h`, `-help`). Throws USAGE with the original's text for a flag error. */
export function parseArgs<S extends FlagSet>(args: readonly string[], flags: S): ParsedArgs<S> | undefined {
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(flags)) values[name] = flag.initial

  let next = 0
  while (next < args.length) {
    const word = args[next] as string
    if (word.length < 2 || !word.startsWith('-')) break
    next++
    if (word === '--') break
    const body = word.slice(word.startsWith('--') ? 2 : 1)
    if (body === '' || body.startsWith('-') || body.startsWith('=')) throw usage(`bad flag syntax: ${word}`)
    const equals = body.indexOf('=')
    const name = equals < 0 ? body : body.slice(0, equals)
    let text = equals < 0 ? undefined : body.slice(equals + 1)

    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
    if (!flag) {
      if (name === 'h' || name === 'help') return undefined
      throw usage(`flag provided but not defined: -${name}`)
    }
    if (flag.boolean) text ??= 'true'
    else if (text === undefined && next < args.length) text = args[next++]
    if (text === undefined) throw usage(`flag needs an argument: -${name}`)
    const parsed = flag.parse(text)
    if ('problem' in parsed) {
      const what = flag.boolean
        ? `invalid boolean value ${goQuote(text)} for`
        : `invalid value ${goQuote(text)} for flag`
      throw usage(`${what} -${name}: ${parsed.problem}`)
    }
    values[name] = parsed.value
  }
  return { flags: values as FlagValues<S>, operands: args.slice(next) }
}

/**
 * parseArgs for a command: prints `usage` on stdout and returns undefined when help was asked for (return EXIT_FAILURE then). A flag
 * error is printed on stderr with the usage behind it (the original prints that usage on stdout), and thrown.
 */
export function parseCommandLine<S extends FlagSet>(
  args: readonly string[],
  flags: S,
  usageText: string,
  io: CommandIo,
): ParsedArgs<S> | undefined {
  try {
    const parsed = parseArgs(args, flags)
    if (!parsed) io.stdout.write(usageText)
    return parsed
  } catch (error) {
    io.stderr.write(`${(error as Error).message}\n${usageText}`)
    throw error
  }
}

export function usage(message: string): LitestreamError {
  return new LitestreamError('USAGE', message)
}
