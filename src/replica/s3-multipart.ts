// Uploads that do not fit one request: parts of one size, a few in flight, completed as a whole or aborted as a whole.
//
// All parts but the last have the same size, because Cloudflare R2 insists on it: the smallest that S3 allows, and larger where so many
// bytes are expected that its 10,000 parts would not do. A body that is longer than that all the same is refused by name. Memory: the
// parts in flight and the one being filled.

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { LitestreamError, messageOf } from '../errors.js'
import { collectAll } from '../garbage.js'
import { s3Error } from './s3-errors.js'
import { type Part, reusePart } from './s3-parts.js'
import { throwIfAborted } from './streams.js'

const PART_BYTES_MIN = 5 * 1024 * 1024
export const PARTS_IN_FLIGHT = 2
const PARTS_MAX = 10_000
/** An estimate may be too low by a fifth. */
const PARTS_WANTED_MAX = 8000
const MIB = 1024 * 1024
/**
 * A request that is under way while what is young is collected grows old with all that belongs to it, some 25 KB, which only a collection
 * of everything frees: 10 ms, once in some gigabytes of database.
 */
const COLLECT_ALL_AFTER_PARTS = 256
/** How long cleaning up may take. */
const ABORT_TIMEOUT_MS = 10_000

/** The size of parts for a body of about so many bytes. */
export function partBytesFor(sizeEstimate = 0): number {
  return Math.max(PART_BYTES_MIN, Math.ceil(sizeEstimate / PARTS_WANTED_MAX / MIB) * MIB)
}

export interface MultipartTarget {
  readonly client: S3Client
  /** The key is the whole one, with the replica's prefix. */
  readonly object: { readonly Bucket: string; readonly Key: string }
  /** For errors. */
  readonly what: string
  readonly partsInFlight: number
  readonly ifAbsent: boolean
  /** The caller's, for telling its abort from other failures. */
  readonly signal: AbortSignal | undefined
}

/**
 * Upload `parts`. `stop` is the signal that the parts' source ends on too; a failure here aborts it, so that the source is let
 * go. `lastRequest` aborts the completing request, whose interruption would leave the outcome open.
 */
export async function uploadParts(
  target: MultipartTarget,
  parts: AsyncIterable<Part>,
  stop: AbortController,
  lastRequest: AbortSignal,
): Promise<{ size: number; metadata: unknown }> {
  const { client, object, what } = target
  // Not stopped by `stop`: an upload that was begun without our learning its id could not be cleaned up.
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object), { abortSignal: lastRequest })
  const upload = { ...object, UploadId }
  const tags: string[] = []
  const inFlight = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  const fail = (error: unknown): void => {
    failure ??= { error }
    stop.abort(error)
  }
  const send = async (number: number, part: Part): Promise<void> => {
    const { bytes } = part
    const command = new UploadPartCommand({ ...upload, PartNumber: number, Body: bytes, ContentLength: bytes.length })
    const { ETag } = await client.send(command, { abortSignal: stop.signal })
    tags[number - 1] = ETag ?? ''
    reusePart(part)
  }

  let size = 0
  let count = 0
  try {
    for await (const part of parts) {
      if (++count > PARTS_MAX) {
        throw new LitestreamError(
          'STORAGE',
          `${what}: larger than ${PARTS_MAX} parts of ${part.bytes.length} bytes, which S3 cannot take`,
        )
      }
      size += part.bytes.length
      const sent = send(count, part)
        .catch(fail)
        .finally(() => inFlight.delete(sent))
      inFlight.add(sent)
      while (inFlight.size >= target.partsInFlight) await Promise.race(inFlight)
      if (count % COLLECT_ALL_AFTER_PARTS === 0) collectAll()
    }
  } catch (error) {
    fail(error)
  }
  await Promise.all(inFlight) // a part that arrives after the abort would stay

  try {
    if (failure) throw failure.error
    throwIfAborted(stop.signal, what)
    const command = new CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts: tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 })) },
      ...(target.ifAbsent ? { IfNoneMatch: '*' } : {}),
    })
    const { $metadata } = await client.send(command, { abortSignal: lastRequest })
    return { size, metadata: $metadata }
  } catch (error) {
    const command = new AbortMultipartUploadCommand(upload)
    await client.send(command, { abortSignal: AbortSignal.timeout(ABORT_TIMEOUT_MS) }).catch((abortError: unknown) => {
      if (abortError instanceof Error && abortError.name === 'NoSuchUpload') return
      throw leftOver(s3Error(what, error, target.signal), abortError)
    })
    throw error
  }
}

function leftOver(error: LitestreamError, abortError: unknown): LitestreamError {
  const text = `and its unfinished upload could not be removed (${messageOf(abortError)}); let a lifecycle rule of the bucket do it`
  return new LitestreamError(error.code, `${error.message}; ${text}`, { cause: error })
}
