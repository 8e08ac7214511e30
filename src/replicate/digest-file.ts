// Digests over a restart of this program: one file for each replica in a directory of the user's choice (`meta-path`), written when
// replication stops gracefully. It counts only where it describes exactly the object that is the replica's newest, so one that is out
// of date does no harm: whatever does not fit is ignored, with the reason.
//
//    0  8   "LSNDIG01"
//    8  4   length of what follows up to the digests, uint32 LE
//   12  n   JSON: FileHeader
//   +n  8p  digest of each page, uint64 LE
//   end 8   xxHash64 of everything before, uint64 LE
//
// Read and written in small pieces: a file of digests is as large as they are.

import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createXxh64, loadXxh64 } from '../codec/xxhash.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { Provenance } from '../model/provenance.js'
import type { Described } from './digests.js'
import { PageDigests } from './page-digests.js'

const MAGIC = 'LSNDIG01'
const HEADER_AT = 12
const DIGEST_BYTES = 8
const HEADER_BYTES_MAX = 1 << 16
const PIECE_BYTES = 1 << 16

interface FileHeader extends Described {
  /** For people who wonder what the file belongs to. */
  readonly database: string
  readonly replica: string
  readonly pageSize: number
  readonly pageCount: number
}

export interface KeptDigests {
  readonly pages: PageDigests
  readonly at: Described
}

export class DigestFile {
  constructor(
    private readonly directory: string,
    private readonly database: string,
    private readonly replica: string,
  ) {}

  /** Undefined when there is none. Throws LOCAL, or CORRUPT. What it gives is to be released. */
  async read(): Promise<KeptDigests | undefined> {
    const path = await this.path()
    let fd: number | undefined
    try {
      const file = openSync(path, 'r')
      fd = file
      const read = (into: Uint8Array, position: number) => readSync(file, into, 0, into.length, position)
      const { directory } = this
      return await decodeDigests({ size: fstatSync(file).size, read }, path, directory)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      if (error instanceof LitestreamError) throw error
      throw new LitestreamError('LOCAL', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }

  /** Atomically; readable for this user only. Throws LOCAL. */
  async keep({ pages, at }: KeptDigests): Promise<void> {
    const path = await this.path()
    const temporary = `${path}.tmp`
    let fd: number | undefined
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 })
      const { database, replica } = this
      rmSync(temporary, { force: true })
      fd = openSync(temporary, 'wx', 0o600)
      for await (const piece of encodeDigests(pages, at, { database, replica })) {
        for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done)
      }
      fsyncSync(fd)
      closeSync(fd)
      fd = undefined
      renameSync(temporary, path)
    } catch (error) {
      if (fd !== undefined) closeSync(fd)
      rmSync(temporary, { force: true })
      throw new LitestreamError('LOCAL', `cannot write ${path}: ${messageOf(error)}`, { cause: error })
    }
  }

  /** Told apart also where two databases of the same name, or replicas with odd names, share the directory. */
  private async path(): Promise<string> {
    const xxh64 = await loadXxh64()
    const id = xxh64(Buffer.from(`${this.database}\0${this.replica}`))
      .toString(16)
      .padStart(16, '0')
    const readable = `${basename(this.database)}-${this.replica}`.replaceAll(/[^\w.-]/g, '_').slice(0, 100)
    return join(this.directory, `${readable}-${id}.digests`)
  }
}

/** Why digests that were kept do not describe the replica's newest object; undefined when they do. */
export function misfit({ pages, at }: KeptDigests, generation: string, newest: Provenance): string | undefined {
  if (at.generation !== generation) return `they are of generation ${at.generation}`
  if (at.key !== newest.key) return `they are of ${at.key}, and the newest object is ${newest.key}`
  if (!sameSource(at.source, newest.source)) return `${at.key} was written by somebody else`
  if (pages.pageSize !== newest.pageSize) return `they are of pages of ${pages.pageSize} bytes`
  if (pages.pageCount !== newest.pageCount) return `they are of ${pages.pageCount} pages`
  return undefined
}

function sameSource(a: Described['source'], b: Described['source']): boolean {
  const values = (source: Described['source']): string => {
    const parts = 'cursor' in source ? source.cursor : source.stamp
    return JSON.stringify(Object.entries(parts).sort(([x], [y]) => (x < y ? -1 : 1)))
  }
  return values(a) === values(b)
}

/** In pieces that are valid until the next is asked for. */
export async function* encodeDigests(
  pages: PageDigests,
  { generation, key, source }: Described,
  names: { readonly database: string; readonly replica: string },
): AsyncGenerator<Buffer> {
  const hash = await createXxh64()
  const { pageSize, pageCount } = pages
  const header: FileHeader = { ...names, generation, key, source, pageSize, pageCount }
  const json = Buffer.from(JSON.stringify(header))
  const head = Buffer.alloc(HEADER_AT)
  head.write(MAGIC, 'latin1')
  head.writeUInt32LE(json.length, MAGIC.length)
  for (const piece of [head, json]) {
    hash.update(piece)
    yield piece
  }
  const piece = Buffer.alloc(PIECE_BYTES)
  let length = 0
  const full = () => {
    const bytes = piece.subarray(0, length)
    hash.update(bytes)
    length = 0
    return bytes
  }
  for (const block of pages.blocks()) {
    for (const digest of block) {
      length = piece.writeBigUInt64LE(digest, length)
      if (length === piece.length) yield full()
    }
  }
  yield full()
  const end = Buffer.alloc(DIGEST_BYTES)
  end.writeBigUInt64LE(hash.digest())
  yield end
}

export interface DigestBytes {
  readonly size: number
  /** The number of bytes that were read; less than there is room for only at the end. */
  readonly read: (into: Uint8Array, position: number) => number
}

/** Throws CORRUPT, naming the file, or LOCAL. `directory`: for digests that do not fit memory. */
export async function decodeDigests(file: DigestBytes, name: string, directory?: string): Promise<KeptDigests> {
  const fail = (text: string): never => {
    throw new LitestreamError('CORRUPT', `${name} ${text}`)
  }
  const hash = await createXxh64()
  let at = 0
  const next = (bytes: Buffer): Buffer => {
    if (file.read(bytes, at) !== bytes.length) fail('is cut off')
    at += bytes.length
    return bytes
  }
  const end = file.size - DIGEST_BYTES
  if (end < HEADER_AT) fail('does not hold digests')
  const head = next(Buffer.alloc(HEADER_AT))
  if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) fail('does not hold digests')
  const digestsAt = HEADER_AT + head.readUInt32LE(MAGIC.length)
  if (digestsAt > end || digestsAt > HEADER_AT + HEADER_BYTES_MAX) fail('is damaged')
  const json = next(Buffer.alloc(digestsAt - HEADER_AT))
  let header: FileHeader
  try {
    header = JSON.parse(json.toString('utf8')) as FileHeader
  } catch {
    return fail('is damaged')
  }
  hash.update(head)
  hash.update(json)
  const { generation, key, source, pageSize, pageCount } = header
  if (digestsAt + pageCount * DIGEST_BYTES !== end) fail('is cut off')
  const pages = new PageDigests(pageSize, pageCount, { directory })
  try {
    const room = Buffer.alloc(Math.min(PIECE_BYTES, end - at))
    for (let page = 1; at < end; ) {
      const piece = next(room.subarray(0, end - at))
      hash.update(piece)
      for (let i = 0; i < piece.length; i += DIGEST_BYTES) pages.set(page++, piece.readBigUInt64LE(i))
    }
    if (next(Buffer.alloc(DIGEST_BYTES)).readBigUInt64LE() !== hash.digest()) fail('is damaged')
    return { pages, at: { generation, key, source } }
  } catch (error) {
    pages.release()
    throw error
  }
}
