// Does this store honour `If-None-Match: *`? Some S3-compatible ones refuse the header, some take no notice of it, and some honour it
// for plain puts but not where a multipart upload is completed. So both are tried, once per process and bucket, on a key of our own.

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { isLitestreamError } from '../errors.js'
import { isTaken, s3Error, s3Kind, statusOf } from './s3-errors.js'
import { orAborted } from './streams.js'

export interface ConditionalProbe {
  readonly client: S3Client
  /** Nobody else's; it does not exist. */
  readonly object: { readonly Bucket: string; readonly Key: string }
  /** For errors. */
  readonly what: string
  readonly signal: AbortSignal | undefined
}

/** Answers, and questions that are under way: hundreds of replicas in one bucket ask at the same moment. */
const known = new Map<string, Promise<boolean>>()

/** `store` names what the answer holds for: endpoint and bucket. A failure is everybody's who asked meanwhile, and nothing is kept of it. */
export async function honoursConditions(store: string, probe: ConditionalProbe): Promise<boolean> {
  for (;;) {
    const there = known.get(store)
    const answer = there ?? tryOut(probe)
    if (!there) {
      known.set(store, answer)
      answer.catch(() => known.delete(store))
    }
    try {
      return await orAborted(answer, probe.signal, probe.what)
    } catch (error) {
      // Whoever asked first was stopped; that is no answer for us.
      const ofOthers = there !== undefined && isLitestreamError(error, 'ABORTED')
      if (!ofOthers || probe.signal?.aborted) throw error
    }
  }
}

async function tryOut({ client, object, what, signal }: ConditionalProbe): Promise<boolean> {
  const options = signal ? { abortSignal: signal } : {}
  const put = () =>
    client.send(new PutObjectCommand({ ...object, Body: 'x', ContentLength: 1, IfNoneMatch: '*' }), options)
  try {
    // Taken by ourselves, where the transport has tried again after an answer was lost.
    if ((await outcomeOf(put)) === 'refused') return false
    if ((await outcomeOf(put)) !== 'taken') return false
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object), options)
    const upload = { ...object, UploadId }
    const part = new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'y', ContentLength: 1 })
    const { ETag } = await client.send(part, options)
    const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] }
    const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload, IfNoneMatch: '*' })
    const completed = await outcomeOf(() => client.send(complete, options))
    if (completed !== 'stored') await client.send(new AbortMultipartUploadCommand(upload), options).catch(() => {})
    return completed === 'taken'
  } catch (error) {
    throw s3Error(what, error, signal)
  } finally {
    // What cannot be deleted is one byte that is in nobody's way.
    await client.send(new DeleteObjectCommand(object), options).catch(() => {})
  }
}

async function outcomeOf(request: () => Promise<unknown>): Promise<'stored' | 'taken' | 'refused'> {
  try {
    await request()
    return 'stored'
  } catch (error) {
    if (isTaken(error)) return 'taken'
    const status = statusOf(error)
    const { name } = error as Error
    if (status === 501 || (status === 400 && (s3Kind(error) === 'bug' || name === 'InvalidRequest'))) return 'refused'
    throw error
  }
}
