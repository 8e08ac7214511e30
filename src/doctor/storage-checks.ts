// Tries everything that a replica needs of its storage, with scratch objects under `litestream-doctor/` and a random name: outside
// of `generations/`, so that no reader takes them for anything, and deleted again whatever happens. What fails says which
// permission is missing; a failure that would be the same for everything ends it.

import { isLitestreamError, type LitestreamError, messageOf } from '../errors.js'
import { GENERATIONS_PREFIX, isGeneration } from '../model/layout.js'
import type { ReplicaClient } from '../replica/client.js'
import type { ConditionalWrites } from '../replica/s3-providers.js'
import type { Findings } from './finding.js'

const SCRATCH_PREFIX = 'litestream-doctor/'
/** One byte more than fits a single request. */
const MULTIPART_BYTES = 5 * 2 ** 20 + 1
const SKEW_WARNING_MS = 30_000
/** S3 refuses requests past this. */
const SKEW_ERROR_MS = 15 * 60_000
const DENIED = ['AccessDenied', 'Forbidden', 'HTTP403', 'EACCES', 'EPERM']

export interface StorageOptions {
  /** Unguessable, letters and digits. */
  readonly scratchName: string
  readonly now: () => number
  /** What is known of the provider. */
  readonly conditionalWrites: ConditionalWrites
  readonly signal: AbortSignal
}

export async function checkStorage(client: ReplicaClient, options: StorageOptions, found: Findings): Promise<void> {
  if (!(await checkList(client, options, found))) return
  const scratch = `${SCRATCH_PREFIX}${options.scratchName}`
  const written = new Set<string>()
  const put = async (key: string, bytes: number, ifAbsent = false): Promise<number> => {
    written.add(key) // before: an upload that seems to have failed may be there all the same
    return (await client.put(key, content(bytes), { ifAbsent, signal: options.signal })).modifiedAtMs
  }
  try {
    const beforeMs = options.now()
    let storeMs: number
    try {
      storeMs = await put(scratch, 16)
    } catch (error) {
      found.error('put', messageOf(error), permission(error, 'write objects (s3:PutObject)'))
      return
    }
    found.ok('put', 'an object can be written')
    checkClock(storeMs, beforeMs, options.now(), client.type, found)
    await checkGet(client, scratch, options, found)
    written.add(`${scratch}-condition`)
    await checkConditional(client, scratch, put, options, found)
    if (client.type === 's3') await checkMultipart(`${scratch}-parts`, put, found)
  } finally {
    await cleanUp(client, [...written], found)
  }
}

/** False when nothing else needs to be tried. */
async function checkList(client: ReplicaClient, { signal }: StorageOptions, found: Findings): Promise<boolean> {
  try {
    const generations = (await client.listNames(GENERATIONS_PREFIX, signal)).filter(isGeneration)
    found.ok('list', generations.length === 0 ? 'no generation yet' : `${generations.length} generations`)
    return true
  } catch (error) {
    const { reason } = error as LitestreamError
    const credentials = ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'CredentialsProviderError']
    if (reason === 'NoSuchBucket')
      found.error('bucket', messageOf(error), 'create the bucket, or correct "bucket" and "endpoint"')
    else if (reason === 'RequestTimeTooSkewed')
      found.error('clock', messageOf(error), 'set the clock of this machine (NTP)')
    else if (credentials.includes(reason)) {
      const next = 'check access-key-id and secret-access-key: are the variables set where the program runs?'
      found.error('credentials', messageOf(error), next)
    } else if (DENIED.includes(reason)) {
      found.error('list', messageOf(error), permission(error, 'list the bucket (s3:ListBucket)'))
      return true
    } else found.error('list', messageOf(error), 'correct this first; nothing else was tried')
    return false
  }
}

async function checkGet(
  client: ReplicaClient,
  key: string,
  { signal }: StorageOptions,
  found: Findings,
): Promise<void> {
  try {
    let bytes = 0
    for await (const chunk of await client.get(key, { signal })) bytes += chunk.length
    if (bytes === 16) found.ok('get', 'and read again')
    else found.error('get', `${bytes} bytes came back of 16`, 'this store changes objects: do not use it')
  } catch (error) {
    found.error(
      'get',
      messageOf(error),
      permission(error, 'read objects (s3:GetObject): nothing can be restored without'),
    )
  }
}

async function checkConditional(
  client: ReplicaClient,
  key: string,
  put: (key: string, bytes: number, ifAbsent: boolean) => Promise<number>,
  { conditionalWrites, signal }: StorageOptions,
  found: Findings,
): Promise<void> {
  const known = conditionalWrites === 'no' ? ' (known of this provider)' : ''
  const next = 'make sure yourself that only one daemon writes to this replica'
  try {
    await put(key, 16, true)
    found.warn('conditional-put', `the store ignores If-None-Match: two writers cannot notice each other${known}`, next)
    return
  } catch (error) {
    if (!isLitestreamError(error, 'EXISTS')) {
      found.warn('conditional-put', `the store refuses If-None-Match${known}: ${messageOf(error)}`, next)
      return
    }
  }
  // What replicate itself asks, uploads in parts included. Without permission for those, the next check says so.
  const everywhere = await client.conditionalPuts?.(`${key}-condition`, signal).catch(() => undefined)
  if (everywhere === false)
    found.warn('conditional-put', 'the store honours If-None-Match, but not for uploads in parts', next)
  else found.ok('conditional-put', 'an object that is there is not overwritten')
}

async function checkMultipart(
  key: string,
  put: (key: string, bytes: number) => Promise<number>,
  found: Findings,
): Promise<void> {
  try {
    await put(key, MULTIPART_BYTES)
    found.ok('multipart', 'a large object can be uploaded in parts')
  } catch (error) {
    found.error(
      'multipart',
      messageOf(error),
      permission(error, 'upload in parts (s3:PutObject, s3:AbortMultipartUpload)'),
    )
  }
}

async function cleanUp(client: ReplicaClient, keys: readonly string[], found: Findings): Promise<void> {
  try {
    // Not with the signal: what was begun is cleaned up.
    await client.delete(keys)
    found.ok('delete', 'everything that was written for this is gone again')
  } catch (error) {
    const next = `${permission(error, 'delete objects (s3:DeleteObject), else nothing ever goes')}; then delete ${keys.join(', ')}`
    found.error('delete', messageOf(error), next)
  }
}

function checkClock(storeMs: number, beforeMs: number, afterMs: number, type: string, found: Findings): void {
  // Stores tell whole seconds.
  const skewMs = storeMs < beforeMs - 1000 ? beforeMs - storeMs : Math.max(0, storeMs - afterMs)
  const text = `this machine's clock and the store's are ${Math.round(skewMs / 1000)} s apart`
  const next = 'set the clock of this machine (NTP): -timestamp means its time'
  if (skewMs >= SKEW_ERROR_MS) found.error('clock', `${text}; S3 refuses requests past 15 minutes`, next)
  else if (skewMs >= SKEW_WARNING_MS) found.warn('clock', text, next)
  else if (skewMs > 1000) found.ok('clock', text)
  else found.ok('clock', `agrees with the ${type === 's3' ? "store's" : "file system's"}`)
}

function permission(error: unknown, what: string): string {
  const { reason } = error as Partial<LitestreamError>
  return DENIED.includes(reason ?? '') ? `give the key permission to ${what}` : 'correct this and run doctor again'
}

async function* content(bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  const chunk = new Uint8Array(Math.min(bytes, 2 ** 20))
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length))
}
