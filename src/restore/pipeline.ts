// From a plan to a database file: the snapshot is streamed to its place, then each segment is fetched ahead, decoded, checked and
// its pages written over it. Everything is checked as it passes; the file is worth something only when this resolves. Memory does
// not depend on the size of the database or of an object.

import { decodeFrame } from '../codec/frame.js'
import { madeGarbage } from '../garbage.js'
import { type Provenance, parseProvenance } from '../model/provenance.js'
import type { StoredObject } from '../model/timeline.js'
import type { RestorePlan } from '../plan/restore-plan.js'
import type { ReplicaClient } from '../replica/client.js'
import { DATABASE_HEADER_BYTES, parseDatabaseHeader } from '../sqlite/database-header.js'
import { findCutCommit } from './last-commit.js'
import { Lineage, type Said } from './lineage.js'
import { writeAll } from './page-writer.js'
import { Prefetch } from './prefetch.js'
import { readObject } from './resuming.js'
import { type Base, SegmentApplier } from './segment-applier.js'
import { SyncAhead } from './sync-ahead.js'

/** Stored. Below, memory that is given back is cheaper than memory that is kept. */
const LONG_BYTES_MIN = 16 << 20

export interface RestoreProgress {
  /** Stored (compressed) bytes. */
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly objectsDone: number
  readonly objectsTotal: number
}

export interface PipelineOptions {
  readonly parallelism: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  /** Something that may be right, but that a person should know of. */
  readonly onDoubt?: ((text: string) => void) | undefined
  /** The snapshot is in place; segments follow. */
  readonly onSnapshot?: (() => void) | undefined
  /** All segments of an index have been applied. */
  readonly onIndex?: ((index: number) => void) | undefined
  /** Memory for what was fetched ahead, and twice that for pages that wait to be written; plenty by default. */
  readonly budgetBytes?: number | undefined
}

/** What a restore fills: a file, or something that looks at the pages as they come. Whole pages but for the snapshot, which is streamed. */
export interface RestoreOutput {
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>
  truncate(bytes: number): Promise<void>
  /** Where there is a disk. */
  datasync?(): Promise<void>
}

export interface RestoredFile {
  readonly pageSize: number
  readonly pageCount: number
  /** What the newest object says about itself. */
  readonly provenance: Provenance | undefined
}

/** Fill `file`, which is empty, with the state that `plan` stands for. */
export async function restoreFile(
  client: ReplicaClient,
  plan: RestorePlan,
  file: RestoreOutput,
  options: PipelineOptions,
): Promise<RestoredFile> {
  const { signal, parallelism, budgetBytes } = options
  const segments = new Prefetch(client, plan.segments, { parallelism, signal, budgetBytes })
  const reading = new ObjectReading(plan, options)
  const lineage = new Lineage()
  try {
    const { snapshot } = plan
    const stored = readObject(client, snapshot, signal)
    const base = await writeSnapshot(reading.content(snapshot, stored), file)
    lineage.snapshot(snapshot, base.bytes, reading.said)
    reading.objectDone()
    options.onSnapshot?.()
    const limitOffset = plan.recorded ? undefined : await findLimit(client, plan, base, signal)
    const applier = new SegmentApplier(plan, base, file, lineage, limitOffset, options)
    for await (const { object, bytes } of segments) {
      await applier.apply(object, reading.content(object, bytes), () => reading.said)
      reading.objectDone()
    }
    return { ...(await applier.finish()), provenance: reading.said.provenance }
  } finally {
    await segments.stop()
  }
}

async function writeSnapshot(content: AsyncIterable<Uint8Array>, file: RestoreOutput): Promise<Base> {
  let bytes = 0
  const head: Uint8Array[] = []
  const syncAhead = new SyncAhead(file)
  // One piece is written while the next one is fetched and decoded; the one before is written by then, and its memory is not its own any more.
  let writing = Promise.resolve()
  try {
    for await (const chunk of content) {
      if (bytes < DATABASE_HEADER_BYTES) head.push(Buffer.from(chunk.subarray(0, DATABASE_HEADER_BYTES)))
      await writing
      writing = writeAll(file, chunk, bytes)
      writing.catch(() => {})
      bytes += chunk.length
      await syncAhead.wrote(chunk.length)
    }
  } finally {
    await Promise.allSettled([writing, syncAhead.end()])
  }
  await writing
  await syncAhead.end()
  return { bytes, pageSize: parseDatabaseHeader(Buffer.concat(head))?.pageSize }
}

/** Where to stop in the last index, when its last transaction is not complete. */
async function findLimit(
  client: ReplicaClient,
  { segments }: RestorePlan,
  base: Base,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const index = segments.at(-1)?.index
  const last = segments.filter((segment) => segment.index === index)
  return last.length === 0 ? undefined : findCutCommit(client, last, base.pageSize, signal)
}

/** Decodes one object after the other, counts, and keeps what the last one said about itself. */
class ObjectReading {
  said: Said = { trailer: false, provenance: undefined }
  private bytesDone = 0
  private objectsDone = 0
  private readonly bytesTotal: number

  constructor(
    private readonly plan: RestorePlan,
    private readonly options: PipelineOptions,
  ) {
    this.bytesTotal = plan.segments.reduce((sum, { size }) => sum + size, plan.snapshot.size)
  }

  content(object: StoredObject, stored: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
    this.said = { trailer: false, provenance: undefined }
    const onTrailer = (payload: Uint8Array): void => {
      this.said = { trailer: true, provenance: parseProvenance(payload) }
    }
    // What an object says of its length is known before it is read only of the snapshot. It cannot expand beyond its own word.
    const contentBytesMax = object.kind === 'snapshot' ? this.plan.snapshotBytes : undefined
    const { signal } = this.options
    const isLong = object.kind === 'snapshot' && object.size >= LONG_BYTES_MIN
    return decodeFrame(this.counted(stored), { name: object.key, onTrailer, signal, contentBytesMax, isLong })
  }

  objectDone(): void {
    this.objectsDone++
    this.report()
  }

  private async *counted(stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stored) {
      this.bytesDone += chunk.length
      madeGarbage(chunk.length, true)
      this.report()
      yield chunk
    }
  }

  private report(): void {
    const { bytesDone, bytesTotal, objectsDone } = this
    this.options.onProgress?.({ bytesDone, bytesTotal, objectsDone, objectsTotal: 1 + this.plan.segments.length })
  }
}
