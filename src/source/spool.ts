// Where page images wait for their upload: memory up to a bound shared by the whole process, past it an unlinked file in a
// temporary directory. Never on the database's volume. Slots are numbered from 0; a slot holds one page.

import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { LitestreamError } from '../errors.js'
import { SpareBuffers } from '../spare-buffers.js'
import { openUnnamed, problemIn } from './scratch-file.js'

const CHUNK_BYTES = 65536
const WHAT = 'changed pages'

/** Chunks of memory that all spools of a process share. */
export class ChunkPool {
  private readonly spare: SpareBuffers
  private used = 0

  constructor(readonly bytesMax: number) {
    this.spare = new SpareBuffers(CHUNK_BYTES, Math.ceil(bytesMax / CHUNK_BYTES))
  }

  get usedBytes(): number {
    return this.used
  }

  take(): Buffer | undefined {
    if (this.used + CHUNK_BYTES > this.bytesMax) return undefined
    this.used += CHUNK_BYTES
    return this.spare.take()
  }

  give(chunks: Buffer[]): void {
    this.used -= chunks.length * CHUNK_BYTES
    for (const chunk of chunks) this.spare.give(chunk)
  }
}

/** Why nothing can be kept in a directory, as the error message would say it later; undefined when it can. */
export function spoolProblem(directory = tmpdir()): string | undefined {
  try {
    closeSync(openUnnamed(directory))
    return undefined
  } catch (cause) {
    return problemIn(WHAT, directory, cause)
  }
}

/** What the files of several spools may take together. */
export class SpoolBudget {
  private used = 0

  constructor(readonly bytesMax: number) {}

  get usedBytes(): number {
    return this.used
  }

  take(bytes: number): boolean {
    if (this.used + bytes > this.bytesMax) return false
    this.used += bytes
    return true
  }

  give(bytes: number): void {
    this.used -= bytes
  }
}

export class Spool {
  private chunks: Buffer[] = []
  private memorySlots = 0
  private slots = 0
  private fd: number | undefined

  constructor(
    readonly pageSize: number,
    private readonly pool: ChunkPool,
    private readonly directory = tmpdir(),
    private readonly budget?: SpoolBudget | undefined,
  ) {}

  /** Bytes that are in the file and not in memory. */
  get fileBytes(): number {
    return Math.max(0, this.slots - this.memorySlots) * this.pageSize
  }

  /** A new slot with this page in it. Throws LOCAL when the temporary directory cannot take it, or the budget is used up. */
  add(page: Uint8Array): number {
    const slot = this.slots
    if (this.fd === undefined && slot === this.memorySlots) {
      const chunk = this.pool.take()
      if (chunk) {
        this.chunks.push(chunk)
        this.memorySlots += CHUNK_BYTES / this.pageSize
      }
    }
    const { budget } = this
    const inFile = slot >= this.memorySlots
    if (inFile && budget && !budget.take(this.pageSize)) {
      const advice = 'raise max-spool-size if there is more room'
      const message = `more than ${budget.bytesMax} bytes of changed pages would wait in ${this.directory}; ${advice}`
      throw new LitestreamError('LOCAL', message, { reason: 'SpoolFull' })
    }
    try {
      this.write(slot, page)
    } catch (error) {
      if (inFile) budget?.give(this.pageSize)
      throw error
    }
    this.slots++
    return slot
  }

  write(slot: number, page: Uint8Array): void {
    if (slot < this.memorySlots) {
      this.place(slot).set(page)
      return
    }
    try {
      this.fd ??= openUnnamed(this.directory)
      let done = 0
      const at = (slot - this.memorySlots) * this.pageSize
      while (done < page.length) done += writeSync(this.fd, page, done, page.length - done, at + done)
    } catch (cause) {
      throw new LitestreamError('LOCAL', problemIn(WHAT, this.directory, cause), { cause })
    }
  }

  read(slot: number, into: Uint8Array): void {
    if (slot < this.memorySlots) {
      into.set(this.place(slot))
      return
    }
    let done = 0
    const at = (slot - this.memorySlots) * this.pageSize
    while (done < this.pageSize) {
      const bytes = readSync(this.fd as number, into, done, this.pageSize - done, at + done)
      if (bytes === 0) throw new LitestreamError('LOCAL', `the spool file in ${this.directory} is shorter than it was`)
      done += bytes
    }
  }

  clear(): void {
    this.budget?.give(this.fileBytes)
    this.pool.give(this.chunks)
    this.chunks = []
    this.memorySlots = 0
    this.slots = 0
    if (this.fd !== undefined) {
      ftruncateSync(this.fd, 0)
      closeSync(this.fd)
      this.fd = undefined
    }
  }

  private place(slot: number): Buffer {
    const perChunk = CHUNK_BYTES / this.pageSize
    const chunk = this.chunks[Math.floor(slot / perChunk)] as Buffer
    const at = (slot % perChunk) * this.pageSize
    return chunk.subarray(at, at + this.pageSize)
  }
}
