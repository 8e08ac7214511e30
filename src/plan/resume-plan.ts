// What to do with a replica that is not known to follow its source: go on where nothing is missing, heal by comparison where it is
// known what the replica holds, else begin a new generation. Pure; every answer but the first has a reason for people.

export interface ResumeFacts {
  /** True: it was proved that nothing is missing since the newest object. Else why not. */
  readonly continuity: true | string
  /** The replica has a generation of ours that can be gone on with. */
  readonly generation: boolean
  /** The layout has names left for what would come. */
  readonly namesLeft: boolean
  /** The digests of the newest object's pages are at hand. */
  readonly digests: boolean
}

export type ResumePlan =
  | { readonly how: 'continue' }
  | { readonly how: 'heal'; readonly reason: string }
  | { readonly how: 'new-generation'; readonly reason: string }

export function planResume({ continuity, generation, namesLeft, digests }: ResumeFacts): ResumePlan {
  if (generation && !namesLeft) return { how: 'new-generation', reason: 'max index exceeded' }
  if (continuity === true) return { how: 'continue' }
  return generation && digests ? { how: 'heal', reason: continuity } : { how: 'new-generation', reason: continuity }
}

/** A difference waits on disk for its upload, a snapshot does not. */
const DIFFERENCE_BYTES_MIN = 16 << 20
const DIFFERENCE_BYTES_MAX = 1 << 30

/** So many different pages are better shipped as a snapshot of a new generation. */
export function tooDifferent(differentPages: number, pageCount: number, pageSize: number): boolean {
  const bytes = differentPages * pageSize
  if (bytes <= DIFFERENCE_BYTES_MIN) return false
  return bytes > DIFFERENCE_BYTES_MAX || differentPages > pageCount / 2
}
