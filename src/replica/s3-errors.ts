// What S3 answers, in the words of this program: which code it is for us, whether time heals it, and what a person can do about it.
// Names are those of S3's error list and of the S3-compatible stores; codes are Node's.

import { type ErrorKind, isLitestreamError, LitestreamError, messageOf } from '../errors.js'
import { abortedError } from './streams.js'

interface ServiceError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket; create it, or correct "bucket" or "endpoint"',
  InvalidBucketName: 'the store refuses this bucket name; correct "bucket"',
  InvalidAccessKeyId: 'the access key is not known there; check access-key-id, and that it belongs to this endpoint',
  SignatureDoesNotMatch: 'the secret key does not fit the access key; check secret-access-key (and "region")',
  AccessDenied: 'access denied; the key needs permission to list, read, write and delete in this bucket',
  Forbidden: 'access denied; the key needs permission to list, read, write and delete in this bucket',
  ExpiredToken: 'the session token has expired; get new credentials',
  InvalidToken: 'the session token is not valid; get new credentials',
  RequestTimeTooSkewed: "this machine's clock differs too much from the store's; set it (NTP)",
  AuthorizationHeaderMalformed: 'the request was signed for another region; set "region"',
  PermanentRedirect: 'the bucket is in another region or at another endpoint; set "region" or "endpoint"',
  IllegalLocationConstraintException: 'the bucket is in another region; set "region"',
  NotImplemented: 'this store does not support the request',
  SlowDown: 'the store asks to slow down',
  XMinioStorageFull: 'the store has no space left; free some there',
  QuotaExceeded: 'the quota of the bucket is used up; raise it, or keep less',
  EntityTooLarge: 'the store refuses an object of this size',
  CredentialsProviderError:
    'no credentials found; set access-key-id and secret-access-key, or LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY; where a profile, a container or a role is to give them out, it does not',
  ECONNREFUSED: 'connection refused; check "endpoint", and that the store is running',
  ECONNRESET: 'the connection was cut; the store may be down or restarting',
  EPIPE: 'the connection was cut; the store may be down or restarting',
  ENOTFOUND: 'the host name is not known; check "endpoint", "region", and DNS',
  EAI_AGAIN: 'the host name could not be looked up; check the network and DNS',
  EHOSTUNREACH: 'the host cannot be reached; check the network',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer in time; the store is down, overloaded, or behind a firewall',
  TimeoutError: 'no answer in time; the store is down, overloaded, or behind a firewall',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'its certificate is self-signed; name its authority in AWS_CA_BUNDLE, or set skip-verify',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate has an unknown authority; name it in AWS_CA_BUNDLE, or set skip-verify',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate has an unknown authority; name it in AWS_CA_BUNDLE, or set skip-verify',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate has an unknown authority; name it in AWS_CA_BUNDLE, or set skip-verify',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host; check "endpoint" and "force-path-style"',
  EPROTO: 'no TLS there; write http:// in "endpoint" if the store does without',
}

/** Answers that stay what they are until somebody does something, where the status does not tell. */
const PERSON: ReadonlySet<string> = new Set([
  'AccessDenied',
  'Forbidden',
  'NoSuchBucket',
  'InvalidBucketName',
  'InvalidAccessKeyId',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'TokenRefreshRequired',
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'TemporaryRedirect',
  'IllegalLocationConstraintException',
  'InvalidLocationConstraint',
  'EntityTooLarge',
  'KeyTooLongError',
  'NotImplemented',
  'MethodNotAllowed',
  'InvalidRequest',
  'XMinioStorageFull',
  'QuotaExceeded',
  'XMinioAdminBucketQuotaExceeded',
  'CredentialsProviderError',
  'TokenProviderError',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'EPROTO',
])

/** Answers that time heals although their status says that the request was wrong: it was, when it arrived. */
const TRANSIENT: ReadonlySet<string> = new Set([
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
  'IncompleteBody',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'NoSuchUpload',
  'OperationAborted',
  'ConditionalRequestConflict',
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'RequestLimitExceeded',
  'XMinioServerNotInitialized',
])

/** Whether time heals it. */
export function s3Kind(error: unknown): ErrorKind {
  const { code, name = '' } = (error ?? {}) as ServiceError
  const names = code === undefined ? [name] : [code, name]
  if (names.some((one) => PERSON.has(one))) return 'person'
  if (names.some((one) => TRANSIENT.has(one))) return 'transient'
  const status = statusOf(error)
  if (status === undefined) {
    // No answer at all. What the system or the SDK says of the network has a code or a name of its own.
    const ofNetwork = code !== undefined || ['TimeoutError', 'NetworkingError', 'AbortError'].includes(name)
    return ofNetwork ? 'transient' : 'bug'
  }
  if (status === 501 || status === 507) return 'person'
  if (status >= 500 || status === 408 || status === 425 || status === 429 || status < 300) return 'transient'
  return status === 400 || status === 411 || status === 416 ? 'bug' : 'person'
}

const UNTOLD: ReadonlySet<string> = new Set(['', 'Error', 'Unknown', 'UnknownError'])

/** One word: the answer's own name, else what the status says. */
function reasonOfAnswer(error: unknown): string {
  const { code, name = '' } = (error ?? {}) as ServiceError
  const status = statusOf(error)
  const known = [code, name].find((one) => one !== undefined && !UNTOLD.has(one))
  return known ?? (status === undefined ? 'Error' : `HTTP${status}`)
}

export function statusOf(error: unknown): number | undefined {
  return (error as ServiceError | undefined)?.$metadata?.httpStatusCode
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '')

export function isMissingObject(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound'].includes(nameOf(error))
}

export function isPastEnd(error: unknown): boolean {
  return statusOf(error) === 416
}

/** A conditional request met another write of the same key that was under way; nobody has won yet. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 409 && nameOf(error) === 'ConditionalRequestConflict'
}

/** A conditional request lost: the key is taken, or still fought over after several attempts. */
export function isTaken(error: unknown): boolean {
  return statusOf(error) === 412 || isConflict(error)
}

/** `what` is the operation, the object and the place. Errors that are ours already stay as they are. */
export function s3Error(what: string, error: unknown, signal: AbortSignal | undefined): LitestreamError {
  if (isLitestreamError(error)) return error
  if (signal?.aborted) return abortedError(signal, what)
  if (isMissingObject(error)) return new LitestreamError('NOT_FOUND', `${what}: no such object`, { cause: bare(error) })
  const [text, kind, reason] = [explain(error), s3Kind(error), reasonOfAnswer(error)]
  return new LitestreamError('STORAGE', `${what}: ${text}`, { cause: bare(error), kind, reason })
}

/** The SDK hangs the whole exchange on its errors, the signed request included; nothing of that belongs into a log. */
export function bare(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, '$response')
  return error
}

function explain(error: unknown): string {
  const { code, name, $response } = (error ?? {}) as ServiceError
  const known = (code !== undefined && ADVICE[code]) || ADVICE[name]
  const region = $response?.headers?.['x-amz-bucket-region']
  const hint =
    region && ['PermanentRedirect', 'AuthorizationHeaderMalformed'].includes(name) ? ` (it says "${region}")` : ''
  const status = statusOf(error)
  const original = [status && `HTTP ${status}`, code ?? name, messageOf(error).split('\n')[0]]
    .filter(Boolean)
    .join(', ')
  return known ? `${known}${hint} (${original})` : original
}
