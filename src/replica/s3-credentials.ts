// Where the keys for S3 come from: the configuration, else AWS_* variables, each filled in from its LITESTREAM_* counterpart
// when it is absent (not when it is empty: an empty AWS variable blocks it, as in the original), else the SDK's default chain.

import { LitestreamError } from '../errors.js'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** Undefined: leave it to the SDK's default chain (profiles, web identity, container and machine roles). */
export function credentialsFrom(
  given: { readonly accessKeyId?: string | undefined; readonly secretAccessKey?: string | undefined },
  env: Readonly<Record<string, string | undefined>>,
): S3Credentials | undefined {
  const { accessKeyId = '', secretAccessKey = '' } = given
  if (accessKeyId !== '' || secretAccessKey !== '') {
    if (accessKeyId !== '' && secretAccessKey !== '') return { accessKeyId, secretAccessKey }
    const missing = accessKeyId === '' ? 'access-key-id' : 'secret-access-key'
    throw new LitestreamError(
      'STORAGE',
      `s3: access-key-id and secret-access-key belong together, but ${missing} is empty`,
    )
  }
  const id = (env.AWS_ACCESS_KEY_ID ?? env.LITESTREAM_ACCESS_KEY_ID) || env.AWS_ACCESS_KEY
  const secret = (env.AWS_SECRET_ACCESS_KEY ?? env.LITESTREAM_SECRET_ACCESS_KEY) || env.AWS_SECRET_KEY
  if (!id || !secret) return undefined
  const token = env.AWS_SESSION_TOKEN
  return { accessKeyId: id, secretAccessKey: secret, ...(token ? { sessionToken: token } : {}) }
}
