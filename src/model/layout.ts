// Litestream 0.3's replica layout: keys to values and back. The only place that joins or takes apart key strings.
//
//   generations/<generation>/snapshots/<index>.snapshot.lz4
//   generations/<generation>/wal/<index>_<offset>.wal.lz4
//
// generation: 16 lowercase hex digits; index, offset: 8 lowercase hex digits. A name of any other form is not ours and is
// ignored by every parser here. Keys are relative to the replica's root and always use `/`.

export const GENERATIONS_PREFIX = 'generations/'

const GENERATION = /^[0-9a-f]{16}$/
const SNAPSHOT = /^([0-9a-f]{8})\.snapshot\.lz4$/
const SEGMENT = /^([0-9a-f]{8})_([0-9a-f]{8})\.wal\.lz4$/

const hex8 = (value: number): string => value.toString(16).padStart(8, '0')

export function isGeneration(name: string): boolean {
  return GENERATION.test(name)
}

/** The prefix of everything in a generation, with a trailing slash. */
export function generationPrefix(generation: string): string {
  return `${GENERATIONS_PREFIX}${generation}/`
}

export function snapshotsPrefix(generation: string): string {
  return `${generationPrefix(generation)}snapshots/`
}

export function walPrefix(generation: string): string {
  return `${generationPrefix(generation)}wal/`
}

export function snapshotKey(generation: string, index: number): string {
  return `${snapshotsPrefix(generation)}${hex8(index)}.snapshot.lz4`
}

export function segmentKey(generation: string, index: number, offset: number): string {
  return `${walPrefix(generation)}${hex8(index)}_${hex8(offset)}.wal.lz4`
}

/** What a key stands for, or undefined when it is not a name of the layout. */
export type LayoutName =
  | { readonly kind: 'snapshot'; readonly generation: string; readonly index: number }
  | { readonly kind: 'segment'; readonly generation: string; readonly index: number; readonly offset: number }

export function parseKey(key: string): LayoutName | undefined {
  const parts = key.split('/')
  if (parts.length !== 4 || `${parts[0]}/` !== GENERATIONS_PREFIX || !isGeneration(parts[1] as string)) return undefined
  const [, generation, folder, name] = parts as [string, string, string, string]
  if (folder === 'snapshots') {
    const match = SNAPSHOT.exec(name)
    return match ? { kind: 'snapshot', generation, index: Number.parseInt(match[1] as string, 16) } : undefined
  }
  if (folder === 'wal') {
    const match = SEGMENT.exec(name)
    if (!match) return undefined
    const index = Number.parseInt(match[1] as string, 16)
    return { kind: 'segment', generation, index, offset: Number.parseInt(match[2] as string, 16) }
  }
  return undefined
}
