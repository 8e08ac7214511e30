// Reads what objects say about themselves without reading the objects: the trailer at the end, by one small ranged read each.
// Remembers the answers, because planning asks about the same object more than once.

import { findTrailer, TRAILER_TAIL_BYTES } from '../codec/trailer.js'
import { type Provenance, parseProvenance } from '../model/provenance.js'
import type { Asking } from '../plan/restore-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { damaged } from './index-chain.js'

export class ProvenanceReader {
  private readonly known = new Map<string, Provenance | undefined>()

  constructor(
    private readonly client: ReplicaClient,
    private readonly signal?: AbortSignal | undefined,
  ) {}

  /** Undefined for an object that carries none (another program's, or its trailer is damaged). Rejects as `client.get` does. */
  async read(object: { readonly key: string; readonly size: number }): Promise<Provenance | undefined> {
    if (this.known.has(object.key)) return this.known.get(object.key)
    const start = Math.max(0, object.size - TRAILER_TAIL_BYTES)
    const chunks: Uint8Array[] = []
    let bytes = start
    for await (const chunk of await this.client.get(object.key, { start, signal: this.signal })) {
      bytes += chunk.length
      if (bytes > object.size) throw damaged(object, `it is longer than the ${object.size} bytes that were listed`)
      chunks.push(chunk)
    }
    const payload = findTrailer(Buffer.concat(chunks))
    const provenance = payload && parseProvenance(payload)
    this.known.set(object.key, provenance)
    return provenance
  }

  /** The result of a plan that asks about single objects. */
  async answer<T>(asking: Asking<T>): Promise<T> {
    let step = asking.next()
    while (!step.done) step = asking.next(await this.read(step.value))
    return step.value
  }
}
