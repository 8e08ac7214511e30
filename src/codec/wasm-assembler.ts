// Writes a small WebAssembly module from instructions that read like code: all values are 32-bit integers, but for single 64-bit loads and
// what is done with them at once. For the few loops over bytes that JavaScript runs at a third of the machine's speed.
//
// A module, in the binary format 1 (https://webassembly.github.io/spec/core/binary/modules.html):
//
//   bytes   field
//   8       magic "\0asm", version 1
//   ...     sections, each: 1 byte id, length, content; here 1 types, 2 imports (one memory), 3 functions, 7 exports, 10 code
//
// Lengths, counts and indexes are LEB128 numbers of 7 bits a byte.

/** Instructions, given the labels that they stand in, the innermost last. */
export type Code = (labels: readonly string[]) => number[]

/** A number stands for the constant, a string for the variable of this name. */
export type Value = number | string | Code

export interface FunctionText {
  readonly name: string
  readonly parameters: readonly string[]
  readonly variables: readonly string[]
  /** Ends with the result on the stack. */
  readonly body: (f: Instructions) => Code
}

/** What TypeScript knows only where a browser's types are. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => WasmModule
  readonly Memory: new (size: { initial: number; maximum: number; shared: boolean }) => WasmMemory
  readonly Instance: new (module: WasmModule, imports: object) => { readonly exports: object }
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

/** Compiled; threads may be given it. */
export type WasmModule = object

const PAGE_BYTES = 65_536
const PAGES_MAX = 65_536

/** Of at least so many bytes, for ever. `isShared`: between threads. */
export function newMemory(bytes: number, isShared: boolean): WasmMemory {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared })
}

/** A module that imports `host.memory`, shared between threads or not, and exports the functions: each gives one integer. */
export function compile(functions: readonly FunctionText[], isShared: boolean): WasmModule {
  return new WebAssembly.Module(assemble(functions, isShared))
}

/** The functions of a module, by name. */
export function instantiate(module: WasmModule, memory: WasmMemory): object {
  return new WebAssembly.Instance(module, { host: { memory } }).exports
}

/** Where what lies one after the other in a memory may begin: a cache line. */
export const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64

const I32 = 0x7f
const EMPTY = 0x40

export class Instructions {
  constructor(private readonly names: readonly string[]) {}

  private of(value: Value): Code {
    if (typeof value === 'function') return value
    if (typeof value === 'number') return () => [0x41, ...signed(value)]
    return () => [0x20, ...this.index(value)]
  }

  private index(name: string): number[] {
    const index = this.names.indexOf(name)
    if (index < 0) throw new Error(`there is no variable ${name}`)
    return unsigned(index)
  }

  private op(bytes: readonly number[], ...operands: readonly Value[]): Code {
    const codes = operands.map((operand) => this.of(operand))
    return (labels) => [...codes.flatMap((code) => code(labels)), ...bytes]
  }

  seq = (...codes: readonly Code[]): Code => {
    return (labels) => codes.flatMap((code) => code(labels))
  }
  set = (name: string, value: Value): Code => this.op([0x21, ...this.index(name)], value)
  value = (value: Value): Code => this.of(value)

  add = (a: Value, b: Value): Code => this.op([0x6a], a, b)
  sub = (a: Value, b: Value): Code => this.op([0x6b], a, b)
  mul = (a: Value, b: Value): Code => this.op([0x6c], a, b)
  and = (a: Value, b: Value): Code => this.op([0x71], a, b)
  shl = (a: Value, b: Value): Code => this.op([0x74], a, b)
  shr = (a: Value, b: Value): Code => this.op([0x76], a, b)
  rotl = (a: Value, b: Value): Code => this.op([0x77], a, b)
  min = (a: Value, b: Value): Code => this.op([0x1b], a, b, this.less(a, b))

  // Comparisons are of unsigned numbers.
  equal = (a: Value, b: Value): Code => this.op([0x46], a, b)
  less = (a: Value, b: Value): Code => this.op([0x49], a, b)
  atMost = (a: Value, b: Value): Code => this.op([0x4d], a, b)
  atLeast = (a: Value, b: Value): Code => this.op([0x4f], a, b)
  not = (a: Value): Code => this.op([0x45], a)

  load8 = (at: Value): Code => this.op([0x2d, 0, 0], at)
  load16 = (at: Value): Code => this.op([0x2f, 0, 0], at)
  load32 = (at: Value): Code => this.op([0x28, 0, 0], at)
  store8 = (at: Value, value: Value): Code => this.op([0x3a, 0, 0], at, value)
  store16 = (at: Value, value: Value): Code => this.op([0x3b, 0, 0], at, value)
  store32 = (at: Value, value: Value): Code => this.op([0x36, 0, 0], at, value)
  /** Eight bytes from one place to the other. */
  copy8 = (to: Value, from: Value): Code => this.op([0x37, 0, 0], to, this.op([0x29, 0, 0], from))
  /** Whether the eight bytes at both places are the same. */
  same8 = (a: Value, b: Value): Code => this.op([0x51], this.op([0x29, 0, 0], a), this.op([0x29, 0, 0], b))
  /** How many bytes of eight are the same at both places, from the lowest address on, where not all are. */
  alike8 = (a: Value, b: Value): Code => {
    const difference = this.op([0x85], this.op([0x29, 0, 0], a), this.op([0x29, 0, 0], b))
    return this.shr(this.op([0x7a, 0xa7], difference), 3)
  }
  /** How many bytes are the same in front of both places, eight at most. */
  alikeBefore8 = (a: Value, b: Value): Code => {
    const before = (place: Value) => this.op([0x29, 0, 0], this.sub(place, 8))
    return this.shr(this.op([0x85, 0x79, 0xa7], before(a), before(b)), 3)
  }
  fill = (at: Value, byte: Value, count: Value): Code => this.op([0xfc, 0x0b, 0], at, byte, count)

  /** `go(label)` within goes behind it. */
  block = (label: string, ...codes: readonly Code[]): Code => this.labelled(0x02, label, codes)
  /** `go(label)` within goes to its beginning. */
  loop = (label: string, ...codes: readonly Code[]): Code => this.labelled(0x03, label, codes)
  go = (label: string): Code => {
    return (labels) => [0x0c, ...depth(labels, label)]
  }
  goIf = (label: string, condition: Value): Code => {
    const code = this.of(condition)
    return (labels) => [...code(labels), 0x0d, ...depth(labels, label)]
  }
  when = (condition: Value, ...codes: readonly Code[]): Code => {
    const code = this.of(condition)
    return (labels) => [...code(labels), ...this.labelled(0x04, '', codes)(labels)]
  }

  private labelled(opcode: number, label: string, codes: readonly Code[]): Code {
    return (labels) => [opcode, EMPTY, ...codes.flatMap((code) => code([...labels, label])), 0x0b]
  }
}

function depth(labels: readonly string[], label: string): number[] {
  const index = labels.lastIndexOf(label)
  if (index < 0) throw new Error(`there is no ${label} around here`)
  return unsigned(labels.length - 1 - index)
}

function assemble(functions: readonly FunctionText[], isShared: boolean): Uint8Array {
  const types = functions.map(({ parameters }) => [0x60, ...vector(parameters.map(() => [I32])), 1, I32])
  // From no pages on; shared ones must have a bound, which is that of every memory.
  const memory = isShared ? [3, 0, ...unsigned(PAGES_MAX)] : [0, 0]
  const imported = [...text('host'), ...text('memory'), 2, ...memory]
  const exported = functions.map(({ name }, index) => [...text(name), 0, ...unsigned(index)])
  const bodies = functions.map((text) => sized(bodyOf(text)))
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([imported])),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    ...section(7, vector(exported)),
    ...section(10, vector(bodies)),
  ])
}

function bodyOf({ parameters, variables, body }: FunctionText): number[] {
  const code = body(new Instructions([...parameters, ...variables]))
  const locals = variables.length > 0 ? [[...unsigned(variables.length), I32]] : []
  return [...vector(locals), ...code([]), 0x0b]
}

const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)]
const sized = (content: readonly number[]): number[] => [...unsigned(content.length), ...content]
const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()]
const text = (value: string): number[] => sized([...Buffer.from(value)])

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128)
  return [...bytes, left]
}

function signed(value: number): number[] {
  const bytes: number[] = []
  let left = value | 0
  for (; left > 63 || left < -64; left >>= 7) bytes.push((left & 127) | 128)
  return [...bytes, left & 127]
}
