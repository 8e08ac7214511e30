// A replica on S3-compatible storage.
//
// A body that fits one part is one PUT, a larger one a multipart upload. `modifiedAtMs` of a put is the Date of the store's
// answer. The last request of a put (the PUT, or the completion) is not cut off by the signal at once: cut off, nobody could say
// whether the object is there. It gets some seconds more to end one way or the other.

import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { type Clock, systemClock } from '../clock.js'
import { LitestreamError } from '../errors.js'
import type { GetOptions, ObjectInfo, PutOptions, ReplicaClient } from './client.js'
import { checkKey, checkPrefix, compareKeys } from './keys.js'
import { bytesToSkip, ListingCheck } from './s3-answers.js'
import { honoursConditions } from './s3-conditional.js'
import { serverDateMs } from './s3-connection.js'
import { credentialsFrom } from './s3-credentials.js'
import { placeOf, type S3Place, type S3PlaceOptions } from './s3-endpoint.js'
import { bare, isConflict, isPastEnd, isTaken, s3Error } from './s3-errors.js'
import { PARTS_IN_FLIGHT, partBytesFor, uploadParts } from './s3-multipart.js'
import { partsOf, reusePart } from './s3-parts.js'
import { type SendOptions, type SharedClient, shareClient } from './s3-shared.js'
import { delayedAbort, linkedController, releasing, throwIfAborted, untilAborted, watched } from './streams.js'

export interface S3ReplicaOptions extends S3PlaceOptions {
  readonly skipVerify?: boolean | undefined
  /** Both empty: from the environment, else the SDK's default chain. */
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly clock?: Clock | undefined
  /** Objects per page of a listing, 1000 at most. */
  readonly pageObjects?: number | undefined
  readonly partBytes?: number | undefined
  readonly partsInFlight?: number | undefined
  readonly connectTimeoutMs?: number | undefined
  readonly idleTimeoutMs?: number | undefined
  readonly attemptsMax?: number | undefined
}

const DELETIONS_PER_REQUEST = 1000
const CONFLICT_ATTEMPTS = 3
const LAST_REQUEST_GRACE_MS = 5_000

export class S3ReplicaClient implements ReplicaClient {
  readonly type = 's3'
  readonly url: string
  readonly #place: S3Place
  readonly #options: S3ReplicaOptions
  readonly #shared: SharedClient
  readonly #clock: Clock

  constructor(options: S3ReplicaOptions) {
    const { env = process.env, skipVerify = false } = options
    this.#options = options
    this.#place = placeOf(options)
    this.url = `s3://${this.#place.bucket}/${this.#place.keyPrefix}`.replace(/\/$/, '')
    this.#clock = options.clock ?? systemClock
    const { connectTimeoutMs, idleTimeoutMs, attemptsMax } = options
    const credentials = credentialsFrom(options, env)
    const how = { env, skipVerify, credentials, connectTimeoutMs, idleTimeoutMs, attemptsMax }
    this.#shared = shareClient(this.#place, how)
  }

  get #client(): S3Client {
    return this.#shared.client
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void, undefined> {
    checkPrefix(prefix)
    for await (const page of this.#pages(prefix, undefined, signal)) {
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        // Consoles make "folders" out of empty objects whose key ends with a slash.
        if (Key.endsWith('/')) continue
        throwIfAborted(signal, this.#what('list', prefix))
        const key = Key.slice(this.#place.keyPrefix.length)
        yield { key, size: Size, modifiedAtMs: LastModified?.getTime() ?? 0 }
      }
    }
  }

  async listNames(prefix: string, signal?: AbortSignal): Promise<string[]> {
    checkPrefix(prefix)
    const names: string[] = []
    const start = this.#place.keyPrefix.length + prefix.length
    for await (const page of this.#pages(prefix, '/', signal)) {
      for (const { Prefix = '' } of page.CommonPrefixes ?? []) names.push(Prefix.slice(start, -1))
    }
    return names.sort(compareKeys)
  }

  async *#pages(prefix: string, delimiter: '/' | undefined, signal: AbortSignal | undefined) {
    const what = this.#what('list', prefix)
    const check = new ListingCheck(what, this.#place.keyPrefix + prefix)
    let token: string | undefined
    do {
      throwIfAborted(signal, what)
      const command = new ListObjectsV2Command({
        Bucket: this.#place.bucket,
        Prefix: this.#place.keyPrefix + prefix,
        MaxKeys: this.#options.pageObjects ?? 1000,
        ...(delimiter ? { Delimiter: delimiter } : {}),
        ...(token ? { ContinuationToken: token } : {}),
      })
      let page: ListObjectsV2CommandOutput
      try {
        page = await this.#client.send(command, signal ? { abortSignal: signal } : {})
      } catch (error) {
        throw s3Error(what, error, signal)
      }
      token = check.page(page)
      yield page
    } while (token)
  }

  async get(key: string, { signal, start = 0 }: GetOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    checkKey(key)
    const what = this.#what('get', key)
    throwIfAborted(signal, what)
    const command = new GetObjectCommand({
      ...this.#objectAt(key),
      ...(start > 0 ? { Range: `bytes=${start}-` } : {}),
    })
    try {
      const { Body, ContentLength, ContentRange } = await this.#client.send(
        command,
        signal ? { abortSignal: signal } : {},
      )
      const stream = Body as unknown as NodeJS.ReadableStream & { destroy(): void }
      const content = readAll(stream, ContentLength, bytesToSkip(start, ContentRange, what), what, signal)
      return releasing(content, () => stream.destroy(), signal, what)
    } catch (error) {
      if (isPastEnd(error)) return nothing()
      throw s3Error(what, error, signal)
    }
  }

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    { signal, ifAbsent = false, sizeEstimate }: PutOptions = {},
  ): Promise<ObjectInfo> {
    checkKey(key)
    const what = this.#what('put', key)
    throwIfAborted(signal, what)
    const { partBytes = partBytesFor(sizeEstimate), partsInFlight = PARTS_IN_FLIGHT } = this.#options
    const { controller: stop, release } = linkedController(signal)
    const lastRequest = delayedAbort(signal, LAST_REQUEST_GRACE_MS)
    const source = watched(body)
    const parts = partsOf(untilAborted(source.body, stop.signal, what), partBytes)
    try {
      const first = await parts.next()
      throwIfAborted(signal, what)
      if (first.done) throw new LitestreamError('STORAGE', `${what}: the body gave no part`) // never: partsOf gives one
      const { size, metadata } = first.value.isLast
        ? await this.#putAtOnce(key, first.value.bytes, ifAbsent, {
            abortSignal: lastRequest.signal,
            waitSignal: signal,
          })
        : await uploadParts(
            { client: this.#client, object: this.#objectAt(key), what, partsInFlight, ifAbsent, signal },
            withFirst(first.value, parts),
            stop,
            lastRequest.signal,
          )
      if (first.value.isLast) reusePart(first.value)
      return { key, size, modifiedAtMs: serverDateMs(metadata) ?? this.#clock.now() }
    } catch (error) {
      if (source.hasThrown(error)) throw error
      if (ifAbsent && isTaken(error)) {
        throw new LitestreamError('EXISTS', `${what}: there is such an object already`, { cause: bare(error) })
      }
      throw s3Error(what, error, signal)
    } finally {
      stop.abort()
      await parts.return()
      release()
      lastRequest.release()
    }
  }

  async #putAtOnce(key: string, bytes: Uint8Array, ifAbsent: boolean, how: SendOptions) {
    const command = new PutObjectCommand({
      ...this.#objectAt(key),
      Body: bytes,
      ContentLength: bytes.length,
      ContentType: 'application/octet-stream',
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
    })
    for (let attempt = 1; ; attempt++) {
      try {
        const { $metadata } = await this.#client.send(command, how)
        return { size: bytes.length, metadata: $metadata }
      } catch (error) {
        // Another write of the key was under way. Had it won, the next attempt says so; had it failed, the key is free.
        if (!isConflict(error) || attempt === CONFLICT_ATTEMPTS) throw error
      }
    }
  }

  async conditionalPuts(scratchKey: string, signal?: AbortSignal): Promise<boolean> {
    checkKey(scratchKey)
    const { endpoint = 'AWS', bucket } = this.#place
    const what = this.#what('try a conditional put of', scratchKey)
    throwIfAborted(signal, what)
    const probe = { client: this.#client, object: this.#objectAt(scratchKey), what, signal }
    return await honoursConditions(`${endpoint} ${bucket}`, probe)
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    keys.forEach(checkKey)
    for (let start = 0; start < keys.length; start += DELETIONS_PER_REQUEST) {
      const batch = keys.slice(start, start + DELETIONS_PER_REQUEST)
      const what = this.#what('delete', batch[0] as string) + (batch.length > 1 ? ` and ${batch.length - 1} more` : '')
      throwIfAborted(signal, what)
      const Objects = batch.map((key) => ({ Key: this.#place.keyPrefix + key }))
      const command = new DeleteObjectsCommand({ Bucket: this.#place.bucket, Delete: { Quiet: true, Objects } })
      const { Errors = [] } = await this.#client
        .send(command, signal ? { abortSignal: signal } : {})
        .catch((error: unknown) => {
          throw s3Error(what, error, signal)
        })
      const failed = Errors.find(({ Code }) => Code !== 'NoSuchKey')
      if (failed) {
        const error = Object.assign(new Error(failed.Message ?? ''), { name: failed.Code ?? 'Error' })
        throw s3Error(this.#what('delete', (failed.Key ?? '').slice(this.#place.keyPrefix.length)), error, undefined)
      }
    }
  }

  async close(): Promise<void> {
    this.#shared.release()
  }

  #objectAt(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#place.keyPrefix + key }
  }

  #what(operation: string, key: string): string {
    const at = this.#place.endpoint === undefined ? '' : ` at ${this.#place.endpoint}`
    return `${operation} ${this.url}/${key}${at}`
  }
}

async function* withFirst<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield first
  yield* rest
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

/** The answer behind its first `skip` bytes; an error when fewer bytes came than were announced. */
async function* readAll(
  stream: NodeJS.ReadableStream,
  announced: number | undefined,
  skip: number,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let received = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      const unwanted = Math.max(0, skip - received)
      received += chunk.length
      if (unwanted < chunk.length) yield chunk.subarray(unwanted)
    }
  } catch (error) {
    throw s3Error(what, error, signal)
  }
  if (announced !== undefined && received !== announced) {
    throw new LitestreamError('STORAGE', `${what}: the answer ended after ${received} of ${announced} bytes`)
  }
}
