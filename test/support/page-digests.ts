// Looks at digests as a list, which they are not kept as.

import type { PageDigests } from '../../src/replicate/page-digests.js'

/** Every page's digest, in order, as the pieces give them. */
export function digestsOf(pages: PageDigests | undefined): bigint[] {
  const digests: bigint[] = []
  for (const block of pages?.blocks() ?? []) digests.push(...block)
  return digests
}
