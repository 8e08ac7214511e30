// Bodies for puts, and reading objects back.

import { Buffer } from 'node:buffer'
import type { GetOptions, ReplicaClient } from '../../src/replica/client.js'

export async function* bodyOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}

/** The bytes 0, 1, 2 … 250, 0, 1 … (a prime period, so that a shifted piece shows), of `size` bytes, in chunks. */
export async function* pattern(size: number, chunkBytes = 100_000): AsyncGenerator<Uint8Array, void, undefined> {
  for (let start = 0; start < size; start += chunkBytes) yield patternBytes(start, Math.min(size, start + chunkBytes))
}

const PERIOD = 251
const base = Uint8Array.from({ length: 2 ** 21 + PERIOD }, (_, index) => index % PERIOD)

/** A view; do not write to it. At most 2 MiB. */
export function patternBytes(start: number, end: number): Uint8Array {
  const offset = start % PERIOD
  return base.subarray(offset, offset + end - start)
}

/** True when `chunks` are exactly the pattern from `start` to `end`. */
export async function isPattern(chunks: AsyncIterable<Uint8Array>, start: number, end: number): Promise<boolean> {
  let position = start
  for await (const chunk of chunks) {
    if (Buffer.compare(chunk, patternBytes(position, position + chunk.length)) !== 0) return false
    position += chunk.length
  }
  return position === end
}

export async function text(client: ReplicaClient, key: string, options?: GetOptions): Promise<string> {
  return Buffer.concat(await collect(await client.get(key, options))).toString()
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = []
  for await (const value of values) result.push(value)
  return result
}

export async function keysBelow(client: ReplicaClient, prefix: string): Promise<string[]> {
  return (await collect(client.list(prefix))).map(({ key }) => key)
}

/** A promise to be settled from outside. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
