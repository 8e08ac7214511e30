// One SDK client, set up so that any S3-compatible store understands it: no checksum trailers, bodies with a known length,
// Content-MD5 where deletions need it; bounded sockets, and time limits so that a frozen server cannot hold a request for ever.
//
// Proxies: see proxies. Certificates: AWS_CA_BUNDLE replaces the built-in authorities, NODE_EXTRA_CA_CERTS adds to them.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { GetBucketLocationCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { LitestreamError, messageOf } from '../errors.js'
import { proxyOptions } from './proxies.js'
import { withBoundedAnswers } from './s3-answers.js'
import type { S3Credentials } from './s3-credentials.js'
import type { S3Place } from './s3-endpoint.js'
import { s3Error } from './s3-errors.js'
import { withRenewedCredentials } from './s3-renewal.js'

export interface S3ConnectionOptions {
  readonly credentials: S3Credentials | undefined
  readonly skipVerify: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly connectTimeoutMs?: number | undefined
  /** Without a byte in either direction. */
  readonly idleTimeoutMs?: number | undefined
  /** One more than the transport's retries. */
  readonly attemptsMax?: number | undefined
}

/** More than requests at once (see s3-shared), because answers that are read slowly keep theirs. */
const SOCKETS_MAX = 256

export function connect(place: S3Place, options: S3ConnectionOptions): S3Client {
  const { connectTimeoutMs = 10_000, idleTimeoutMs = 60_000, attemptsMax = 3, credentials } = options
  const agentOptions = { keepAlive: true, maxSockets: SOCKETS_MAX, ...proxyOptions(options.env) }
  const common = {
    forcePathStyle: place.forcePathStyle,
    ...(place.endpoint === undefined ? {} : { endpoint: place.endpoint }),
    ignoreConfiguredEndpointUrls: true,
    // Without credentials the SDK's chain looks for some; that reads a profile's files again whenever it is asked anew.
    ...(credentials ? { credentials } : { ignoreCache: true }),
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    maxAttempts: attemptsMax,
    retryMode: 'standard',
    defaultsMode: 'standard',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: idleTimeoutMs,
      // Requests that wait for a free socket are normal here and no reason for a warning.
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
      httpAgent: new http.Agent(agentOptions),
      httpsAgent: new https.Agent({ ...agentOptions, ...trustFrom(options) }),
    },
  } satisfies S3ClientConfig
  const region = place.region ?? lookUpRegion(place.bucket, common)
  const client = withBoundedAnswers(withServerDate(withContentMd5(construct({ ...common, region }))))
  return credentials ? client : withRenewedCredentials(client)
}

/** The SDK warns of old Node versions on stderr, in several lines, at its first construction. */
function construct(config: S3ClientConfig): S3Client {
  const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'
  const before = process.env[name]
  process.env[name] = 'true'
  try {
    return new S3Client(config)
  } finally {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  }
}

/** Ask AWS once where the bucket is; after a failure ask again at the next request. */
function lookUpRegion(bucket: string, config: S3ClientConfig): () => Promise<string> {
  let answer: Promise<string> | undefined
  const ask = async (): Promise<string> => {
    const client = construct({ ...config, region: 'us-east-1' })
    try {
      const { LocationConstraint: region } = await client.send(new GetBucketLocationCommand({ Bucket: bucket }))
      return (region as string) === 'EU' ? 'eu-west-1' : region || 'us-east-1'
    } catch (error) {
      throw s3Error(`look up the region of s3://${bucket}; setting "region" makes this unnecessary`, error, undefined)
    }
  }
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = undefined
      throw error
    })
    return answer
  }
}

/**
 * DeleteObjects needs a checksum of its body. The SDK sends a CRC32 that older and compatible stores do not know; every store
 * knows Content-MD5, so send that alone.
 */
function withContentMd5(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName === 'DeleteObjectsCommand') {
        const request = args.request as { body: string | Uint8Array; headers: Record<string, string> }
        for (const name of Object.keys(request.headers)) {
          if (/^x-amz-(?:sdk-)?checksum-/i.test(name)) delete request.headers[name]
        }
        request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64')
      }
      return next(args)
    },
    { step: 'build', priority: 'low', name: 'contentMd5ForDeletions' },
  )
  return client
}

/** Keep the Date of every answer with its metadata. */
function withServerDate(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { headers } = result.response as { headers?: Readonly<Record<string, string>> }
      if (result.output) Object.assign(result.output.$metadata, { date: headers?.date })
      return result
    },
    { step: 'deserialize', priority: 'high', name: 'serverDate' },
  )
  return client
}

/** When the store answered, by its own clock; undefined when it did not say. */
export function serverDateMs(metadata: unknown): number | undefined {
  const ms = Date.parse((metadata as { readonly date?: string }).date ?? '')
  return Number.isNaN(ms) ? undefined : ms
}

function trustFrom({ env, skipVerify }: S3ConnectionOptions): https.AgentOptions {
  const bundle = env.AWS_CA_BUNDLE
  const verify = skipVerify ? { rejectUnauthorized: false } : {}
  if (!bundle) return verify
  try {
    return { ...verify, ca: readFileSync(bundle) }
  } catch (error) {
    throw new LitestreamError('LOCAL', `cannot read the certificates in AWS_CA_BUNDLE: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
