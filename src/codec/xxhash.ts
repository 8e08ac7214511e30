// The only importer of xxhash-wasm: the 32-bit hash that LZ4 frames use for their header, blocks and content, and the 64-bit one
// that pages are told apart by. The WebAssembly module is loaded once, at the first use. Its memory never grows past one slice.

import xxhash, { type XXHashAPI } from 'xxhash-wasm'

/** A running hash over everything that was given to `update`, seed 0. */
export interface Xxh32 {
  update(bytes: Uint8Array): void
  /** The hash so far, an unsigned 32-bit integer. Does not disturb the running state. */
  digest(): number
}

export interface Xxh32Factory {
  create(): Xxh32
  /** The hash of one piece of bytes. */
  of(bytes: Uint8Array): number
}

/** The module copies its input into its own memory, which can grow but not shrink. */
const SLICE_BYTES = 256 * 1024

let module: Promise<XXHashAPI> | undefined
let loading: Promise<Xxh32Factory> | undefined

const load = (): Promise<XXHashAPI> => {
  module ??= xxhash()
  return module
}

export function loadXxh32(): Promise<Xxh32Factory> {
  loading ??= load().then(factoryOf)
  return loading
}

/** The 64-bit hash, seed 0, of bytes of any length: an unsigned integer. */
export async function loadXxh64(): Promise<(bytes: Uint8Array) => bigint> {
  const api = await load()
  return (bytes) => {
    if (bytes.length <= SLICE_BYTES) return api.h64Raw(bytes)
    const state = api.create64()
    for (const slice of slicesOf(bytes)) state.update(slice)
    return state.digest()
  }
}

/** A running 64-bit hash, seed 0. */
export interface Xxh64 {
  update(bytes: Uint8Array): void
  /** The hash so far. */
  digest(): bigint
}

export async function createXxh64(): Promise<Xxh64> {
  const state = (await load()).create64()
  return {
    update(bytes) {
      for (const slice of slicesOf(bytes)) state.update(slice)
    },
    digest: () => state.digest(),
  }
}

function* slicesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += SLICE_BYTES) yield bytes.subarray(from, from + SLICE_BYTES)
}

function factoryOf(api: XXHashAPI): Xxh32Factory {
  const create = (): Xxh32 => {
    const state = api.create32(0)
    return {
      update(bytes) {
        for (const slice of slicesOf(bytes)) state.update(slice)
      },
      digest: () => state.digest(),
    }
  }
  const of = (bytes: Uint8Array): number => {
    const hash = create()
    hash.update(bytes)
    return hash.digest()
  }
  return { create, of }
}
