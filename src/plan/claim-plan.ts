// Two writers and one key: whose is the object that is there? A decision, made of what the objects say about themselves.
//
// A store that has no answer for us may have the object all the same, and the next try then finds the key taken by ourselves. That
// is an acknowledgement. Anything else at the key of our next segment means that somebody else has gone on with the generation.

import type { Provenance } from '../model/provenance.js'

/** `there`: what the object at the key says; undefined for one of another program. */
export function isOurs(mine: Provenance, there: Provenance | undefined): boolean {
  if (there === undefined || there.writer !== mine.writer) return false
  // One writer never has two contents for a segment's key: this is the very same one, or nothing that can be relied on.
  return (
    there.key === mine.key &&
    there.kind === mine.kind &&
    there.bytes === mine.bytes &&
    there.pageCount === mine.pageCount &&
    JSON.stringify(there.source) === JSON.stringify(mine.source)
  )
}
