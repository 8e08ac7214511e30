// What a store may answer, before anybody believes it. A listing decides what is overwritten and what "there is no backup" means, so one
// that is cut short, repeats itself, or is no listing at all (a proxy's login page with status 200) is an error, never an empty
// replica. Answers that are read into memory as a whole have a bound; objects are streams and have none.

import type { ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3'
import { LitestreamError } from '../errors.js'
import { compareKeys } from './keys.js'

/** A page of a thousand of the longest keys, each byte of them escaped, and room to spare. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const PAGES_MAX = 20_000

/** Follows one listing, page by page. */
export class ListingCheck {
  private pages = 0
  private lastKey: string | undefined
  private readonly tokens = new Set<string>()

  /** `what` names the operation and the place, `prefix` is what was asked for, with the replica's own. */
  constructor(
    private readonly what: string,
    private readonly prefix: string,
  ) {}

  /** The token of the next page; undefined behind the last one. */
  page(page: ListObjectsV2CommandOutput): string | undefined {
    const { IsTruncated, KeyCount, Contents, CommonPrefixes, NextContinuationToken } = page
    if ([IsTruncated, KeyCount, Contents, CommonPrefixes].every((part) => part === undefined)) {
      throw this.fail('the answer is no listing; check "endpoint", and what is in between')
    }
    for (const { Key, Size, LastModified } of Contents ?? []) this.object(Key, Size, LastModified)
    for (const { Prefix = '' } of CommonPrefixes ?? []) this.below(Prefix)
    if (!IsTruncated) return undefined
    // A listing that says "more" without a way to it would end here, and newer objects would be taken for absent.
    if (!NextContinuationToken) throw this.fail('the listing goes on, but the store does not say how')
    if (this.tokens.has(NextContinuationToken)) throw this.fail('the listing repeats itself')
    if (++this.pages >= PAGES_MAX) throw this.fail(`the listing does not end after ${PAGES_MAX} pages`)
    this.tokens.add(NextContinuationToken)
    return NextContinuationToken
  }

  private object(key: string | undefined, size: number | undefined, modified: Date | undefined): void {
    if (key === undefined) throw this.fail('the store lists an object without a key')
    this.below(key)
    const { lastKey } = this
    // Units of UTF-16 and bytes of UTF-8 order alike but for a few; only what neither calls ascending is out of order.
    if (lastKey !== undefined && !(key > lastKey) && compareKeys(key, lastKey) <= 0) {
      throw this.fail(`the store lists its keys out of order or twice (${JSON.stringify(key)})`)
    }
    this.lastKey = key
    if (!Number.isSafeInteger(size ?? 0) || (size ?? 0) < 0 || Number.isNaN(modified?.getTime() ?? 0)) {
      throw this.fail(`the store lists ${JSON.stringify(key)} with a size or time that cannot be`)
    }
  }

  private below(key: string): void {
    if (!key.startsWith(this.prefix))
      throw this.fail(`the store lists a key that was not asked for (${JSON.stringify(key)})`)
  }

  private fail(text: string): LitestreamError {
    return new LitestreamError('STORAGE', `${this.what}: ${text.slice(0, 400)}`)
  }
}

/** An object that is asked for from `start` on: how many bytes to pass over because the store sends it from its beginning. */
export function bytesToSkip(start: number, contentRange: string | undefined, what: string): number {
  if (start === 0) return 0
  if (contentRange === undefined) return start
  const from = /^bytes (\d+)-/.exec(contentRange)?.[1]
  if (Number(from) === start) return 0
  throw new LitestreamError(
    'STORAGE',
    `${what}: asked for bytes from ${start} on, the store sends ${contentRange.slice(0, 60)}`,
  )
}

/** Bounds every answer that the SDK reads as a whole: all but the content of objects. */
export function withBoundedAnswers(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args)
      const response = result.response as { statusCode?: number; body?: unknown }
      const isObject = context.commandName === 'GetObjectCommand' && (response.statusCode ?? 0) < 300
      if (!isObject && isStream(response.body)) bound(response.body)
      return result
    },
    // Nearest to the wire: before anybody reads.
    { step: 'deserialize', priority: 'low', name: 'boundedAnswers' },
  )
  return client
}

const isStream = (body: unknown): body is NodeJS.ReadableStream & { destroy(error: Error): void } =>
  typeof (body as { pipe?: unknown } | undefined)?.pipe === 'function'

/** Counting by a listener would start the flow before the SDK listens; so the count is taken where the stream emits. */
function bound(stream: NodeJS.ReadableStream & { destroy(error: Error): void }): void {
  let bytes = 0
  const emit = stream.emit.bind(stream)
  stream.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event === 'data') bytes += (args[0] as Uint8Array).length
    if (event !== 'data' || bytes <= ANSWER_BYTES_MAX) return emit(event, ...args)
    stream.destroy(
      new LitestreamError('STORAGE', `the store's answer is longer than ${ANSWER_BYTES_MAX} bytes; check "endpoint"`),
    )
    return false
  }
}
