// Digests over a restart of this program: one file for each replica in a directory of the user's choice (`meta-path`), written when
// replication stops gracefully. It counts only where it describes exactly the object that is the replica's newest, so one that is out
// of date does no harm: whatever does not fit is ignored, with the reason.
//
//    0  8   "LSNDIG01"
//    8  4   length of what follows up to the digests, uint32 LE
//   12  n   JSON: FileHeader
//   +n  8p  digest of each page, uint64 LE
//   end 8   xxHash64 of everything before, uint64 LE

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { loadXxh64 } from '../codec/xxhash.js'
import { LitestreamError, messageOf } from '../errors.js'
import type { Provenance } from '../model/provenance.js'
import { type Described, PageDigests } from './digests.js'

const MAGIC = 'LSNDIG01'
const HEADER_AT = 12
const DIGEST_BYTES = 8

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

  /** Undefined when there is none. Throws LOCAL, or CORRUPT. */
  async read(): Promise<KeptDigests | undefined> {
    const path = await this.path()
    let bytes: Buffer
    try {
      bytes = readFileSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw new LitestreamError('LOCAL', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
    }
    return await decodeDigests(bytes, path)
  }

  /** Atomically; readable for this user only. Throws LOCAL. */
  async keep({ pages, at }: KeptDigests): Promise<void> {
    const path = await this.path()
    const temporary = `${path}.tmp`
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 })
      const { database, replica } = this
      writeFileSync(temporary, await encodeDigests(pages, at, { database, replica }), { mode: 0o600, flush: true })
      renameSync(temporary, path)
    } catch (error) {
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

export async function encodeDigests(
  pages: PageDigests,
  { generation, key, source }: Described,
  names: { readonly database: string; readonly replica: string },
): Promise<Buffer> {
  const { pageSize, pageCount } = pages
  const header: FileHeader = { ...names, generation, key, source, pageSize, pageCount }
  const json = Buffer.from(JSON.stringify(header))
  const bytes = Buffer.alloc(HEADER_AT + json.length + (pageCount + 1) * DIGEST_BYTES)
  bytes.write(MAGIC, 'latin1')
  bytes.writeUInt32LE(json.length, MAGIC.length)
  json.copy(bytes, HEADER_AT)
  let at = HEADER_AT + json.length
  for (const digest of pages.values()) at = bytes.writeBigUInt64LE(digest, at)
  bytes.writeBigUInt64LE((await loadXxh64())(bytes.subarray(0, at)), at)
  return bytes
}

/** Throws CORRUPT, naming the file. */
export async function decodeDigests(bytes: Buffer, name: string): Promise<KeptDigests> {
  const fail = (text: string): never => {
    throw new LitestreamError('CORRUPT', `${name} ${text}`)
  }
  const end = bytes.length - DIGEST_BYTES
  if (end < HEADER_AT || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) fail('does not hold digests')
  const checksum = await loadXxh64()
  if (bytes.readBigUInt64LE(end) !== checksum(bytes.subarray(0, end))) fail('is damaged')
  const digestsAt = HEADER_AT + bytes.readUInt32LE(MAGIC.length)
  let header: FileHeader
  try {
    header = JSON.parse(bytes.toString('utf8', HEADER_AT, digestsAt)) as FileHeader
  } catch {
    return fail('is damaged')
  }
  const { generation, key, source, pageSize, pageCount } = header
  if (digestsAt + pageCount * DIGEST_BYTES !== end) fail('is cut off')
  const pages = new PageDigests(pageSize, pageCount)
  for (let page = 1; page <= pageCount; page++) {
    pages.set(page, bytes.readBigUInt64LE(digestsAt + (page - 1) * DIGEST_BYTES))
  }
  return { pages, at: { generation, key, source } }
}
