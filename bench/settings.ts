// Flags of the benchmarks: each has a default, and its kind follows from it. `--name VALUE`; lists are separated by commas.

export interface NumberFlag {
  readonly kind: 'number'
  readonly default: number
  readonly about: string
}
export interface NumbersFlag {
  readonly kind: 'numbers'
  readonly default: readonly number[]
  readonly about: string
}
export interface NamesFlag {
  readonly kind: 'names'
  readonly default: readonly string[]
  readonly known: readonly string[]
  readonly about: string
}
export type Flag = NumberFlag | NumbersFlag | NamesFlag
export type Flags = Readonly<Record<string, Flag>>

export type SettingsOf<F extends Flags> = {
  readonly [Name in keyof F]: F[Name] extends NumberFlag
    ? number
    : F[Name] extends NumbersFlag
      ? readonly number[]
      : readonly string[]
}

export const number = (value: number, about: string): NumberFlag => ({ kind: 'number', default: value, about })
export const numbers = (value: readonly number[], about: string): NumbersFlag => ({
  kind: 'numbers',
  default: value,
  about,
})
export const names = (value: readonly string[], known: readonly string[], about: string): NamesFlag => ({
  kind: 'names',
  default: value,
  known,
  about,
})

export class UsageError extends Error {}

export const flagName = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

function parseNumber(name: string, text: string): number {
  const value = Number(text)
  if (text !== '' && Number.isFinite(value) && value >= 0) return value
  throw new UsageError(`${flagName(name)} ${text}: expected a number, 0 or above`)
}

function parseName(name: string, text: string, known: readonly string[]): string {
  if (known.includes(text)) return text
  throw new UsageError(`${flagName(name)} ${text}: expected one of ${known.join(', ')}`)
}

/** `given` holds the texts of the flags that were given, by the flag's name in camel case. */
export function parseSettings<F extends Flags>(flags: F, given: Readonly<Record<string, string>>): SettingsOf<F> {
  const settings: Record<string, number | readonly number[] | readonly string[]> = {}
  for (const [name, flag] of Object.entries(flags)) {
    const text = given[name]
    if (text === undefined) settings[name] = flag.default
    else if (flag.kind === 'number') settings[name] = parseNumber(name, text)
    else if (flag.kind === 'numbers') settings[name] = text.split(',').map((part) => parseNumber(name, part))
    else settings[name] = text.split(',').map((part) => parseName(name, part, flag.known))
  }
  return settings as SettingsOf<F>
}
