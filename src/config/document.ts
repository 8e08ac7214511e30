// A configuration file as YAML with places: the only importer of `yaml`. It hands out maps whose readers report what is wrong
// under `file:line`, and goes on, so that one run names every problem. YAML 1.1, as the original (`yes` and `on` are booleans).
//
// Values are never quoted in a message unless the reader says that it may be: they may be secrets.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import { LitestreamError } from '../errors.js'
import { type Environment, type ExpandedText, expandEnvironment, rawOffset } from './expand.js'
import { nearest, type Parsed } from './units.js'

/** A place in the expanded text: from the start of a key or list entry to the end of its value. */
export interface Place {
  readonly start: number
  readonly end: number
}

/** Enough for a person; the time that finding lines takes grows with their number. */
const PROBLEMS_MAX = 100
/** Maps that are merged into each other may multiply without end. */
const MERGES_MAX = 1000

interface Entry extends Place {
  readonly node: Node | null
}

export class ConfigDocument {
  private readonly problems: { line: number; message: string }[] = []
  private readonly expanded: ExpandedText
  private readonly document: Document
  private merges = 0

  constructor(
    readonly file: string,
    private readonly raw: string,
    env: Environment,
    expandEnv: boolean,
  ) {
    this.expanded = expandEnv ? expandEnvironment(raw, env) : { text: raw, expansions: [], unclosed: [] }
    for (const offset of this.expanded.unclosed) {
      this.reportAtRaw(offset, 'an environment variable in braces is not closed with "}" on this line')
    }
    this.throwProblems()
    this.document = this.parse()
    const { errors, warnings } = this.document
    for (const error of [...errors, ...warnings]) this.report(error.pos[0], syntaxMessage(error.code, error.message))
    this.throwProblems()
  }

  private parse(): Document {
    try {
      return parseDocument(this.expanded.text, { version: '1.1', prettyErrors: false, logLevel: 'error' })
    } catch (cause) {
      // The parser goes down with the nesting of the text.
      const message = `${this.file}:1: yaml: too deeply nested to be read, or not YAML at all`
      throw new LitestreamError('CONFIG', message, { cause })
    }
  }

  /** Whether one more map may be merged; the first time that none may, it is reported at `place`. */
  mayMerge(place: Place): boolean {
    if (++this.merges === MERGES_MAX) this.report(place, `yaml: more than ${MERGES_MAX} maps are merged with "<<"`)
    return this.merges < MERGES_MAX
  }

  /** The document's map; an empty file is an empty map. */
  root(): MapReader {
    const node = this.document.contents as Node | null
    const place = { start: 0, end: this.expanded.text.length }
    if (node === null || (isScalar(node) && node.value === null)) return new MapReader(this, undefined, place)
    if (isMap(node)) return new MapReader(this, node, place)
    this.report(node.range?.[0] ?? 0, `expected keys such as "dbs:", found ${kindOf(node)}`)
    return new MapReader(this, undefined, place)
  }

  report(place: Place | number, message: string): void {
    const start = typeof place === 'number' ? place : place.start
    this.reportAtRaw(rawOffset(this.expanded.expansions, start), message)
  }

  /** Throws every problem so far as one CONFIG error, one per line, in the order of the file. */
  throwProblems(): void {
    if (this.problems.length === 0) return
    const lines = this.problems
      .sort((a, b) => a.line - b.line)
      .map(({ line, message }) => `${this.file}:${line}: ${message}`)
    throw new LitestreamError('CONFIG', [...new Set(lines)].join('\n'))
  }

  /** ` (environment variable X is not set)` when the value at `place` used one, else nothing. */
  unsetNote(place: Place): string {
    const within = this.expanded.expansions.filter(
      (one) => one.unset && one.start >= place.start && one.end <= place.end,
    )
    const names = [...new Set(within.map(({ name }) => name))]
    if (names.length === 0) return ''
    const operators = names.some((name) => /^\w+[:=?+-]/.test(name))
    const hint = operators ? '; defaults as in a shell (NAME:-value) are not supported' : ''
    const [noun, verb] = names.length === 1 ? ['variable', 'is'] : ['variables', 'are']
    return ` (environment ${noun} ${names.join(', ')} ${verb} not set${hint})`
  }

  /** The node that an alias stands for, or the node itself. */
  resolve(node: unknown): Node | null {
    if (!isAlias(node)) return (node ?? null) as Node | null
    const resolved = node.resolve(this.document)
    if (!resolved) this.report(node.range?.[0] ?? 0, syntaxMessage('BAD_ALIAS', ''))
    return resolved ?? null
  }

  private reportAtRaw(offset: number, message: string): void {
    if (this.problems.length >= PROBLEMS_MAX) return
    let line = 1
    for (let at = this.raw.indexOf('\n'); at >= 0 && at < offset; at = this.raw.indexOf('\n', at + 1)) line++
    this.problems.push({ line, message })
  }
}

/** The keys of one map. Every reader returns a usable value, also after it has reported a problem. */
export class MapReader {
  private readonly entries = new Map<string, Entry>()

  constructor(
    private readonly document: ConfigDocument,
    node: YAMLMap | undefined,
    /** Where the map itself stands. */
    readonly place: Place,
  ) {
    if (node) this.collect(node)
  }

  /** Where `key` stands, or the map when it has no such key. */
  placeOf(key: string): Place {
    return this.entries.get(key) ?? this.place
  }

  has(key: string): boolean {
    const entry = this.entries.get(key)
    return entry !== undefined && !isNull(entry.node)
  }

  /** The value of `key` uses an environment variable that is not set. */
  unset(key: string): boolean {
    const entry = this.entries.get(key)
    return entry !== undefined && this.document.unsetNote(entry) !== ''
  }

  report(key: string, message: string): void {
    const place = this.placeOf(key)
    this.document.report(place, `${message}${this.entries.has(key) ? this.document.unsetNote(place) : ''}`)
  }

  /** The value's text; empty when there is none. Numbers and booleans are taken as they are written. */
  text(key: string): string {
    const entry = this.entries.get(key)
    if (!entry || isNull(entry.node)) return ''
    if (isScalar(entry.node)) return sourceOf(entry.node)
    this.report(key, `${key}: expected text, found ${kindOf(entry.node)}`)
    return ''
  }

  boolean(key: string): boolean | undefined {
    const entry = this.entries.get(key)
    if (!entry || isNull(entry.node)) return undefined
    if (isScalar(entry.node) && typeof entry.node.value === 'boolean') return entry.node.value
    this.report(key, `${key}: expected true or false, found ${kindOf(entry.node)}`)
    return undefined
  }

  integer(key: string, initial: number): number {
    const entry = this.entries.get(key)
    if (!entry || isNull(entry.node)) return initial
    if (isScalar(entry.node) && Number.isSafeInteger(entry.node.value)) return entry.node.value as number
    this.report(key, `${key}: expected a whole number without quotes, found ${kindOf(entry.node)}`)
    return initial
  }

  /** A duration or size: text that `parse` understands. */
  quantity(key: string, initial: number, parse: (text: string) => Parsed): number {
    const entry = this.entries.get(key)
    if (!entry || isNull(entry.node)) return initial
    const parsed = parse(this.text(key))
    if ('value' in parsed) return parsed.value
    if (isScalar(entry.node)) this.report(key, `${key}: ${parsed.problem}`)
    return initial
  }

  map(key: string): MapReader {
    const entry = this.entries.get(key)
    if (entry && isMap(entry.node)) return new MapReader(this.document, entry.node, entry)
    if (entry && !isNull(entry.node)) this.report(key, `${key}: expected keys below it, found ${kindOf(entry.node)}`)
    return new MapReader(this.document, undefined, entry ?? this.place)
  }

  /** The maps of a list, `what` being one of them ("a database"). */
  maps(key: string, what: string): MapReader[] {
    const entry = this.entries.get(key)
    if (!entry || isNull(entry.node)) return []
    if (!isSeq(entry.node)) {
      this.report(key, `${key}: expected a list (each ${what} begins with "- "), found ${kindOf(entry.node)}`)
      return []
    }
    const readers: MapReader[] = []
    for (const item of entry.node.items) {
      const node = this.document.resolve(item)
      const place = placeOfNode(item as Node | null, entry)
      if (isMap(node)) readers.push(new MapReader(this.document, node, place))
      else this.document.report(place, `${key}: this entry is ${kindOf(node)}, expected the keys of a ${what}`)
    }
    return readers
  }

  /** Reports every key that is not among `known`; `explain` may have a better text for one, or an empty one to let it pass. */
  refuseOthers(known: readonly string[], explain: (key: string) => string | undefined = () => undefined): void {
    for (const key of this.entries.keys()) {
      if (known.includes(key)) continue
      const near = nearest(key, known)
      const guess = near ? `did you mean "${near}"?` : `known here: ${known.join(', ')}`
      const message = explain(key) ?? `unknown key "${key}"; ${guess}`
      if (message !== '') this.document.report(this.placeOf(key), message)
    }
  }

  private collect(node: YAMLMap, merged = false): void {
    for (const pair of node.items) {
      const key = pair.key as Scalar
      const value = this.document.resolve(pair.value)
      const start = merged ? this.place.start : (key.range?.[0] ?? this.place.start)
      const end = value?.range?.[1] ?? key.range?.[1] ?? start
      if (isMergeKey(key)) this.merge(value)
      else
        this.entries.set(isScalar(key) ? sourceOf(key) : String(key), { node: value, start, end: Math.max(start, end) })
    }
  }

  /** `<<: *anchor`: keys that the map has itself stay. */
  private merge(node: Node | null): void {
    const sources = isSeq(node) ? node.items.map((item) => this.document.resolve(item)) : [node]
    for (const source of sources) {
      if (!isMap(source) || !this.document.mayMerge(this.place)) continue
      const other = new MapReader(this.document, source, this.place)
      for (const [key, entry] of other.entries) if (!this.entries.has(key)) this.entries.set(key, entry)
    }
  }
}

const isNull = (node: Node | null): boolean => node === null || (isScalar(node) && node.value === null)

function isMergeKey(key: unknown): boolean {
  if (!isScalar(key) || (key as Scalar).type !== 'PLAIN') return false
  const value = (key as Scalar).value
  return value === '<<' || (typeof value === 'symbol' && value.description === '<<')
}

function sourceOf(node: Scalar): string {
  if (typeof node.value === 'string') return node.value
  return node.source ?? String(node.value)
}

function placeOfNode(node: Node | null, fallback: Place): Place {
  return node?.range ? { start: node.range[0], end: node.range[1] } : fallback
}

function kindOf(node: Node | null): string {
  if (isNull(node)) return 'empty'
  if (isMap(node)) return 'a map'
  if (isSeq(node)) return 'a list'
  const type = isScalar(node) ? typeof node.value : 'text'
  if (type === 'boolean') return 'true or false'
  return type === 'number' || type === 'bigint' ? 'a number' : 'text'
}

/** The parser's words, without the pieces of the file that some of them quote. */
function syntaxMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key is already given in the same map; remove one of the two'
  if (code === 'BAD_ALIAS')
    return 'yaml: a value that begins with "*" refers to an anchor that does not exist; put it in quotes'
  if (code === 'TAG_RESOLVE_FAILED') return 'yaml: a value that begins with "!" is read as a tag; put it in quotes'
  if (code === 'MULTIPLE_DOCS') return 'yaml: a second document begins here ("---"); only one is allowed'
  return `yaml: ${message.replace(/: ".*$/s, '')}`
}
