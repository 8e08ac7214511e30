// Credentials that end while a daemon runs: of a container, a web identity, a role, or a profile's file that another program rewrites.
//
// The SDK renews what says when it expires, as far as this machine's clock is right. It never notices that a store refuses keys which
// it takes for good: those of a file that was rewritten have no expiry, and it keeps them for ever. So when a store says that
// keys are not valid any more, the chain of providers is asked once more, and the request is sent again if it has others now.
// Keys of the configuration or of the environment cannot change and never come here.

import type { S3Client } from '@aws-sdk/client-s3'

/** What stores say of keys that were good. A key that was rotated away is not known any more. */
const STALE: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'InvalidTokenId',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
])

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** The SDK's provider of an S3 client; requests that ask for it at the same time share one answer. */
type Provider = (options?: { readonly forceRefresh: boolean }) => Promise<Keys>

export function withRenewedCredentials(client: S3Client): S3Client {
  const current = client.config.credentials as Provider
  client.middlewareStack.add(
    (next) => async (args) => {
      const used = await current()
      try {
        return await next(args)
      } catch (error) {
        if (!STALE.has((error as Error).name) || !(await othersThan(used, current))) throw error
        return await next(args)
      }
    },
    // Around everything: the keys of a request are chosen before it is sent, and before it is sent again.
    { step: 'initialize', priority: 'high', name: 'renewedCredentials' },
  )
  return client
}

async function othersThan(used: Keys, current: Provider): Promise<boolean> {
  // Another request has renewed them meanwhile, or they must be.
  if (!same(used, await current())) return true
  return !same(used, await current({ forceRefresh: true }))
}

const same = (a: Keys, b: Keys): boolean =>
  a.accessKeyId === b.accessKeyId && a.secretAccessKey === b.secretAccessKey && a.sessionToken === b.sessionToken
