// Secrets that come with the environment instead of the configuration: whatever prints asks here what to leave out.

import type { Environment } from './expand.js'

const NAMES = [
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SECRET_KEY',
  'LITESTREAM_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
]
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']

/** Keys and tokens, and the passwords of proxies. */
export function secretsIn(env: Environment): string[] {
  const passwords = PROXIES.map((name) => /^[^/]*\/\/[^/@:]*:([^/@]+)@/.exec(env[name] ?? '')?.[1])
  return [...NAMES.map((name) => env[name]), ...passwords].filter(
    (secret) => secret !== undefined && secret !== '',
  ) as string[]
}
