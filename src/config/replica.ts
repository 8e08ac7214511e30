// One replica: from the fields of the configuration, or a URL of the command line, to what the storage clients take. Texts of
// errors that the original has too are its own, to the letter.

import { posix } from 'node:path'
import { defaultMaxBehindMs } from '../plan/health.js'
import { parseBucketHost } from '../replica/s3-endpoint.js'
import { regionOfEndpoint } from '../replica/s3-providers.js'
import { expandPath, isUrl, type Surroundings } from './paths.js'
import { parseReplicaUrl, type ReplicaUrl } from './replica-url.js'
import type { ReplicaConfig } from './types.js'

/** Empty text and undefined stand for "not given". Times are milliseconds. */
export interface ReplicaFields {
  readonly type: string
  readonly name: string
  readonly url: string
  readonly path: string
  readonly bucket: string
  readonly region: string
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly forcePathStyle: boolean | undefined
  readonly skipVerify: boolean
  readonly syncIntervalMs: number
  readonly snapshotIntervalMs: number
  readonly retentionMs: number
  readonly retentionCheckIntervalMs: number
  readonly validationIntervalMs: number
  readonly maxBehindMs: number | undefined
  readonly onConflict: 'new-generation' | 'stand-by'
  readonly takeOverAfterMs: number
}

export const replicaDefaults: ReplicaFields = {
  type: '',
  name: '',
  url: '',
  path: '',
  bucket: '',
  region: '',
  endpoint: '',
  accessKeyId: '',
  secretAccessKey: '',
  forcePathStyle: undefined,
  skipVerify: false,
  syncIntervalMs: 1_000,
  snapshotIntervalMs: 0,
  retentionMs: 24 * 3_600_000,
  retentionCheckIntervalMs: 3_600_000,
  validationIntervalMs: 0,
  maxBehindMs: undefined,
  onConflict: 'new-generation',
  takeOverAfterMs: 60_000,
}

/** `field` is the key of the configuration that is to blame. */
export type ReportField = (field: string, message: string) => void

/** Undefined after a problem was reported. */
export function buildReplica(
  fields: ReplicaFields,
  around: Surroundings,
  report: ReportField,
): ReplicaConfig | undefined {
  const fail = (field: string, message: string): undefined => {
    report(field, message)
    return undefined
  }
  if (isUrl(fields.path)) {
    return fail('path', `replica path cannot be a url, please use the 'url' field instead: ${hidden(fields.path)}`)
  }
  const parsed = fields.url === '' ? undefined : parseReplicaUrl(fields.url)
  if (parsed && 'problem' in parsed) return fail('url', parsed.problem)
  const url = parsed?.url
  const type = url?.scheme ?? (fields.type || 'file')
  const typeField = url ? 'url' : 'type'
  if (type === 'abs' || type === 'gcs' || type === 'sftp') {
    return fail(typeField, `replica type "${type}" is not supported by litestream-node; use s3 or file`)
  }
  if (type !== 'file' && type !== 's3') {
    const hint = url ? ` (the url's scheme is "${type}"; known are s3:// and file://)` : ' (known are s3 and file)'
    return fail(typeField, `unknown replica type in config: "${fields.type}"${hint}`)
  }
  if (url?.hasCredentials) {
    return fail('url', 'credentials in a replica url have no effect; use access-key-id and secret-access-key')
  }
  if (url?.hasQuery)
    return fail('url', 'options in a replica url ("?…") have no effect; use the keys of the configuration')
  return type === 'file' ? buildFile(fields, url, around, fail) : buildS3(fields, url, fail)
}

type Fail = (field: string, message: string) => undefined

function buildFile(
  fields: ReplicaFields,
  url: ReplicaUrl | undefined,
  around: Surroundings,
  fail: Fail,
): ReplicaConfig | undefined {
  if (url && fields.path !== '') return fail('path', 'cannot specify url & path for file replica')
  // Without a type it is a directory: not what is meant where a bucket is named.
  if (fields.bucket !== '') return fail('bucket', '"bucket" belongs to replicas of type s3; write "type: s3"')
  const path = url ? url.path : fields.path
  if (path === '' || path === '.') return fail('path', 'file replica path required')
  return { type: 'file', path: expandPath(path, around), ...common(fields, 'file') }
}

function buildS3(fields: ReplicaFields, url: ReplicaUrl | undefined, fail: Fail): ReplicaConfig | undefined {
  if (url && fields.path !== '') return fail('path', 'cannot specify url & path for s3 replica')
  if (url && fields.bucket !== '') return fail('bucket', 'cannot specify url & bucket for s3 replica')
  const host = url ? parseBucketHost(url.host) : undefined
  const bucket = fields.bucket || host?.bucket || ''
  if (bucket === '') return fail(url ? 'url' : 'bucket', 'bucket required for s3 replica')
  if (url && host?.endpoint === '') {
    // The whole host would be taken for a bucket's name on AWS.
    if (/^localhost(:\d*)?$/.test(url.host) || regionOfEndpoint(url.host) !== undefined) {
      return fail(
        'url',
        `bucket required for s3 replica; "${url.host}" is an endpoint, use "bucket" and "endpoint" instead of "url"`,
      )
    }
    if (/:\d*$/.test(url.host)) {
      return fail(
        'url',
        `the port in "${url.host}" has no effect for this host; use "bucket" and "endpoint" instead of "url"`,
      )
    }
  }
  if ((fields.accessKeyId === '') !== (fields.secretAccessKey === '')) {
    const missing = fields.accessKeyId === '' ? 'access-key-id' : 'secret-access-key'
    return fail(missing, `access-key-id and secret-access-key belong together, but ${missing} is empty`)
  }
  if (/^[^/]*\/\/[^/?#]*@|^[^/]*:[^/]*@/.test(fields.endpoint)) {
    return fail('endpoint', 'credentials in an endpoint have no effect; use access-key-id and secret-access-key')
  }
  const path = url ? url.path : posix.normalize(`/${fields.path}`).replace(/^\/+|\/+$/g, '')
  return {
    type: 's3',
    bucket,
    path,
    region: fields.region || host?.region || '',
    endpoint: fields.endpoint || host?.endpoint || '',
    forcePathStyle: (fields.forcePathStyle ?? fields.endpoint !== '') || (host?.forcePathStyle ?? false),
    skipVerify: fields.skipVerify,
    accessKeyId: fields.accessKeyId,
    secretAccessKey: fields.secretAccessKey,
    ...common(fields, 's3'),
  }
}

function common(fields: ReplicaFields, type: string) {
  const { syncIntervalMs, snapshotIntervalMs, retentionMs, retentionCheckIntervalMs, validationIntervalMs } = fields
  const { onConflict, takeOverAfterMs } = fields
  return {
    name: fields.name || type,
    syncIntervalMs,
    snapshotIntervalMs,
    retentionMs,
    // Checking less often than things expire would keep them longer than was asked for.
    retentionCheckIntervalMs:
      retentionMs > 0 ? Math.min(retentionCheckIntervalMs, retentionMs) : retentionCheckIntervalMs,
    validationIntervalMs,
    maxBehindMs: fields.maxBehindMs ?? defaultMaxBehindMs(syncIntervalMs),
    onConflict,
    takeOverAfterMs,
  }
}

const hidden = (url: string): string => url.replace(/^([^/]*\/\/)[^/?#]*@/, '$1')
